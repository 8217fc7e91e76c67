# SPDX-License-Identifier: Apache-2.0
"""StateFun's playground (section 2.5 of its facts): its module files and curl lines, on a host that keeps things."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from harness import Answer, Host, HostFailed, ScriptedFunction, free_port, request, wait_until
from harness.function import Call, Reply, reply_to
from harness.host import binary

Make = Callable[[], Host]
Start = Callable[..., ScriptedFunction]

ENDPOINT = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: {url}
---
"""
INGRESS = """\
kind: io.statefun.playground.v1/ingress
spec:
  port: {port}
---
"""
EGRESS = """\
kind: io.statefun.playground.v1/egress
spec:
  port: {port}
  topics:
    - greetings
---
"""
RECORD = "io.statefun.playground/EgressRecord"
VENDOR = "application/vnd.example/GreetRequest"

pytestmark = pytest.mark.threads


def done(call: Call) -> Reply:
    """A function that takes everything and does nothing."""
    return Reply(reply_to(call, "proa/none", b""))


def emit(call: Call, *records: object, typename: str = RECORD) -> Reply:
    """A result with these records for the playground's egress."""
    result = reply_to(call, "proa/none", b"")
    for record in records:
        message = result.invocation_result.outgoing_egresses.add()
        message.egress_namespace, message.egress_type = "io.statefun.playground", "egress"
        message.argument.typename = typename
        message.argument.has_value = True
        message.argument.value = record if isinstance(record, bytes) else json.dumps(record).encode()
    return Reply(result)


def greet(call: Call) -> Reply:
    """A function that sends each of its values to the topic greetings."""
    return emit(call, *({"topic": "greetings", "payload": value.decode()} for value in call.values))


def pop(host: Host, topic: str = "greetings") -> Answer:
    """GET of a topic at the first egress port."""
    answer = request(host.playground_egress_ports[0], "GET", f"/{topic}")
    assert "proa-invocation" in answer.headers
    return answer


def pop_all(host: Host) -> list[str]:
    """What is popped until nothing waits."""
    texts = []
    while (answer := pop(host)).status == 200:
        texts.append(answer.body.decode())
    assert (answer.status, answer.code) == (404, "empty")
    return texts


@pytest.fixture
def greeter(make_host: Make, scripted: Start) -> Host:
    """A host with the playground's doors on free ports, and a function that greets."""
    module = ENDPOINT.format(url=scripted(greet).url) + INGRESS.format(port=0) + EGRESS.format(port=free_port())
    return make_host().configure(module=module).start()


def greetings(host: Host, count: int, first: int = 0) -> None:
    """Sends that many, one after another; returns when their records are on disk."""
    wanted = host.metrics()["proa_outbox_records"] + count
    for number in range(first, first + count):
        assert put(host.playground_ingress_ports[0], "/example/person/Bob", b"%d" % number, VENDOR) == 200
    host.await_metric("proa_outbox_records", wanted)
    host.await_idle()


def put(port: int, path: str, body: bytes, content_type: str | None = None, method: str = "PUT") -> int:
    """The status of a PUT at the playground's port."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    return request(port, method, path, body, headers).status


def test_the_playgrounds_own_curl_line(make_host: Make, scripted: Start) -> None:
    function, port = scripted(done), free_port()
    host = make_host().configure(module=ENDPOINT.format(url=function.url) + INGRESS.format(port=port)).start()
    assert host.playground_ingress_ports == [port]
    line = (
        'curl -X PUT -H "Content-Type: application/vnd.example/GreetRequest" -d \'{"name": "Bob"}\' '
        f"localhost:{port}/example/person/Bob"
    )
    shown = subprocess.run(
        ["bash", "-c", f"{line} --silent --show-error --write-out '%{{http_code}}'"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (shown.stdout, shown.stderr) == ("200", "")
    wait_until(lambda: function.calls, "the function is called")
    batch = function.calls[0].batch
    assert (batch.target.namespace, batch.target.type, batch.target.id) == ("example", "person", "Bob")
    argument = batch.invocations[0].argument
    assert (argument.typename, argument.has_value, argument.value) == ("example/GreetRequest", True, b'{"name": "Bob"}')
    assert not batch.invocations[0].HasField("caller")


def test_a_body_without_a_type_is_a_string_in_its_wrapper(make_host: Make, scripted: Start) -> None:
    function = scripted(done)
    host = make_host().configure(module=ENDPOINT.format(url=function.url) + INGRESS.format(port=0)).start()
    (port,) = host.playground_ingress_ports
    for body, content_type in ((b"Hello", None), (b"", "text/plain"), ("ä".encode(), "application/json")):
        assert put(port, "/example/text/a%2Fb", body, content_type) == 200
    assert put(port, "/example/text/a%2Fb", b"\xff") == 400
    host.await_idle()
    arguments = [one.argument for call in function.calls for one in call.batch.invocations]
    assert {argument.typename for argument in arguments} == {"io.statefun.types/string"}
    assert [argument.value for argument in arguments] == [b"\x0a\x05Hello", b"", b"\x0a\x02\xc3\xa4"]
    assert {call.batch.target.id for call in function.calls} == {"a/b"}


def test_status_codes_are_in_the_status_line(make_host: Make, scripted: Start) -> None:
    function = scripted(done)
    host = make_host().configure(module=ENDPOINT.format(url=function.url) + INGRESS.format(port=0)).start()
    (port,) = host.playground_ingress_ports
    assert put(port, "/example/person/a", b"x", method="POST") == 200
    for method, path, status, code in (
        ("GET", "/example/person/a", 405, "method_not_allowed"),
        ("PUT", "/example/person", 404, "not_found"),
        ("PUT", "/v1/person/a", 404, "not_found"),
        ("PUT", "/proa/person/a", 400, "bad_path"),
        ("PUT", "/elsewhere/person/a", 404, "unknown_function"),
        ("POST", "/v1/send/example/person/a", 404, "not_found"),
    ):
        answer = request(port, method, path, b"x")
        assert (answer.status, answer.code) == (status, code), path
        assert "proa-invocation" in answer.headers
    assert request(port, "GET", "/example/person/a").headers["allow"] == "PUT, POST"


def test_the_ingress_port_may_be_the_playgrounds(make_host: Make, scripted: Start) -> None:
    function, port = scripted(done), free_port()
    host = make_host().configure(module=ENDPOINT.format(url=function.url) + INGRESS.format(port=port))
    host.wanted_ports = (str(port), "0")
    host.start()
    assert (host.ingress_port, host.playground_ingress_ports) == (port, [port])
    assert put(port, "/example/person/a", b"x") == 200
    assert host.send("example/person/a", "x").status == 202
    host.await_idle()
    types = [one.argument.typename for call in function.calls for one in call.batch.invocations]
    assert types == ["io.statefun.types/string", "proa/json"]


def test_what_was_answered_outlasts_a_kill(make_host: Make, scripted: Start) -> None:
    function = scripted(lambda call: Reply(status=503))
    host = make_host().configure(module=ENDPOINT.format(url=function.url) + INGRESS.format(port=0)).start()
    for number in range(20):
        assert put(host.playground_ingress_ports[0], f"/example/person/{number}", b"%d" % number, VENDOR) == 200
    host.kill()
    function.stop()
    mended = scripted(done, port=function.port)  # one that no call of the killed host comes to, however late
    host.start()
    host.await_idle()
    values = [value for call in mended.calls for value in call.values]
    assert sorted(values, key=int) == [b"%d" % number for number in range(20)]


def test_several_ports_are_as_many_listeners(make_host: Make, scripted: Start) -> None:
    function = scripted(done)
    host = make_host().configure(module=ENDPOINT.format(url=function.url) + INGRESS.format(port=0) * 2).start()
    one, two = host.playground_ingress_ports
    assert one != two
    assert [put(port, "/example/person/a", b"x") for port in (one, two)] == [200, 200]
    host.stop()


def test_a_port_in_use_is_named_with_its_key(make_host: Make, scripted: Start) -> None:
    function = scripted(done)
    host = make_host().configure(module=ENDPOINT.format(url=function.url) + INGRESS.format(port=function.port))
    host.spawn()
    assert host.wait() == 1
    (event,) = [event for event in host.events() if event["event"] == "host.start_failed"]
    assert "spec.port of io.statefun.playground.v1/ingress" in event["text"]
    assert f"port {function.port} of 127.0.0.1 cannot be listened on" in event["text"]
    host.wanted_ports = ("0", str(function.port))
    host.spawn()
    assert host.wait() == 1
    assert "is the admin port" in host.events()[-1]["text"]


def test_check_names_the_ports(make_host: Make) -> None:
    host = make_host().configure(module=ENDPOINT.format(url="http://localhost:1/") + INGRESS.format(port=8090))
    checked = subprocess.run(
        [binary(), "check", host.arguments[1]], capture_output=True, text=True, timeout=60, check=True
    )
    assert checked.stdout.splitlines()[-1] == "playground ingress on port 8090"
    assert checked.stderr == ""
    host.configure(module=ENDPOINT.format(url="http://localhost:1/") + INGRESS.format(port=8090) * 2)
    with pytest.raises(HostFailed):
        host.start()
    assert "the port 8090 is already taken" in host.log


def test_section_2_5_the_playgrounds_own_curl_lines(make_host: Make, scripted: Start) -> None:
    def answer(call: Call) -> Reply:
        name = json.loads(call.values[0])["name"]
        return emit(call, {"topic": "greetings", "payload": f"Hello {name} for the 1st time!"})

    ingress, egress = free_port(), free_port()
    module = ENDPOINT.format(url=scripted(answer).url) + INGRESS.format(port=ingress) + EGRESS.format(port=egress)
    host = make_host().configure(module=module).start()
    assert (host.playground_ingress_ports, host.playground_egress_ports) == ([ingress], [egress])
    line = (
        'curl --silent -X PUT -H "Content-Type: application/vnd.example/GreetRequest" -d \'{"name": "Bob"}\' '
        f"localhost:{ingress}/example/person/Bob"
    )
    subprocess.run(["bash", "-c", line], timeout=60, check=True)
    host.await_metric("proa_outbox_records", 1)
    shown = subprocess.run(
        ["bash", "-c", f"curl --silent -X GET localhost:{egress}/greetings"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout == "Hello Bob for the 1st time!"


@pytest.mark.parametrize("topic", ["v1", "proa", "egress", "a%2Fb", "\u00e4?#"])
def test_every_topic_that_a_module_file_may_have_can_be_popped(make_host: Make, scripted: Start, topic: str) -> None:
    port = free_port()
    module = ENDPOINT.format(url=scripted(lambda call: emit(call, {"topic": topic, "payload": "x"})).url)
    module += INGRESS.format(port=0) + EGRESS.format(port=port).replace("greetings", json.dumps(topic))
    host = make_host().configure(module=module)
    host.wanted_ports = (str(port), "0")  # beside the host's own paths
    host.start()
    greetings(host, 1)
    assert pop(host, quote(topic, safe="")).body == b"x"
    assert pop(host, quote(topic, safe="")).code == "empty"


def test_a_topic_is_popped_in_order_and_then_empty(greeter: Host) -> None:
    answer = pop(greeter)
    assert (answer.status, answer.code) == (404, "empty")
    greetings(greeter, 5)
    first = pop(greeter)
    assert (first.status, first.headers["content-type"], first.body) == (200, "text/plain; charset=utf-8", b"0")
    assert pop_all(greeter) == ["1", "2", "3", "4"]
    metrics = greeter.metrics()
    assert (metrics["proa_outbox_records"], metrics["proa_outbox_bytes"]) == (0, 0)
    assert metrics["proa_egress_popped_total"] == 5


def test_other_topics_and_methods_say_what_there_is(greeter: Host) -> None:
    greetings(greeter, 1)
    port = greeter.playground_egress_ports[0]
    unknown = request(port, "GET", "/greeting")
    assert (unknown.status, unknown.code) == (404, "not_found")
    assert "did you mean greetings?" in unknown.json["detail"]
    for method in ("POST", "PUT", "DELETE", "HEAD"):
        answer = request(port, method, "/greetings")
        assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert request(port, "PUT", "/example/person/Bob", b"x").status == 404
    assert request(greeter.playground_ingress_ports[0], "GET", "/greetings").status == 404
    assert pop_all(greeter) == ["0"]


def test_records_that_no_topic_takes_are_parked_and_the_rest_holds(make_host: Make, scripted: Start) -> None:
    def answer(call: Call) -> Reply:
        good = {"topic": "greetings", "payload": "good \u00fc"}
        records = (good, {**good, "topic": "nowhere"}, {**good, "more": 1}, {"topic": "greetings"}, b"{", good)
        return emit(call, *records) if call.values == [b"json"] else emit(call, good, typename="a/b")

    module = ENDPOINT.format(url=scripted(answer).url) + INGRESS.format(port=0) + EGRESS.format(port=0)
    host = make_host().configure(module=module).start()
    assert put(host.playground_ingress_ports[0], "/example/person/Bob", b"json", VENDOR) == 200
    host.await_metric("proa_parked_messages", 4)
    assert put(host.playground_ingress_ports[0], "/example/person/Bob", b"type", VENDOR) == 200
    host.await_metric("proa_parked_messages", 5)
    assert pop_all(host) == ["good ü", "good ü"]
    parked = [event["text"] for event in host.events() if event["event"] == "message.parked"]
    for event, words in zip(
        parked, ("unknown_topic", 'member "more"', 'no member "payload"', "not JSON", "another type"), strict=True
    ):
        assert words in event


def test_one_port_may_be_everything(make_host: Make, scripted: Start) -> None:
    port = free_port()
    module = ENDPOINT.format(url=scripted(greet).url) + INGRESS.format(port=port) + EGRESS.format(port=port)
    for ingress in (str(port), "0"):
        host = make_host().configure(module=module)
        host.wanted_ports = (ingress, "0")
        host.start()
        assert (host.playground_ingress_ports, host.playground_egress_ports) == ([port], [port])
        greetings(host, 1)
        assert pop_all(host) == ["0"]
        host.stop()


def test_pops_go_on_after_a_kill_where_the_disk_is(greeter: Host) -> None:
    """What was answered is gone for good; what was not is there, or was in a pop under way."""
    greetings(greeter, 40)
    texts = []
    for _ in range(8):
        texts += [pop(greeter).body.decode() for _ in range(4)]
        greeter.restart()
    assert texts == [str(number) for number in range(32)]
    greeter.stop()
    records = greeter.egress("io.statefun.playground/greetings")
    assert [record["value"] for record in records] == [str(number) for number in range(32, 40)]
    assert {record["type"] for record in records} == {"io.statefun.types/string"}
    greeter.start()
    assert pop_all(greeter) == [str(number) for number in range(32, 40)]
    greeter.stop()
    assert greeter.egress("io.statefun.playground/greetings") == []


def test_concurrent_pops_get_different_records(greeter: Host) -> None:
    greetings(greeter, 200)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: pop(greeter), range(240)))
    texts = [answer.body.decode() for answer in answers if answer.status == 200]
    assert sorted(texts, key=int) == [str(number) for number in range(200)]
    assert {answer.code for answer in answers if answer.status != 200} == {"empty"}


@pytest.mark.heavy
def test_a_queue_of_thousands_over_kills(make_host: Make, scripted: Start) -> None:
    """Poppers and kills at once: nobody gets a record twice, and only pops that were cut off lose theirs."""

    def many(call: Call) -> Reply:
        numbers = range(*json.loads(call.values[0]))
        return emit(call, *({"topic": "greetings", "payload": str(number)} for number in numbers))

    total = 4000
    module = (
        ENDPOINT.format(url=scripted(many).url) + INGRESS.format(port=free_port()) + EGRESS.format(port=free_port())
    )
    host = make_host().configure(module=module).start()
    for first in range(0, total, 500):
        body = json.dumps([first, first + 500]).encode()
        assert put(host.playground_ingress_ports[0], "/example/person/Bob", body, VENDOR) == 200
        host.await_metric("proa_mailbox_messages", 0)
    host.await_metric("proa_outbox_records", total)
    got: list[int] = []
    cut_off = [0]
    is_over = threading.Event()
    port = host.playground_egress_ports[0]

    def take() -> None:
        while not is_over.is_set():
            try:
                answer = request(port, "GET", "/greetings", timeout_s=60)
            except OSError:
                cut_off[0] += 1
                continue
            except Exception:  # the answer was cut in the middle
                cut_off[0] += 1
                continue
            if answer.status == 200:
                got.append(int(answer.body))
            elif answer.code == "empty":
                is_over.set()

    poppers = [threading.Thread(target=take) for _ in range(4)]
    for popper in poppers:
        popper.start()
    for wanted in (800, 1600, 2400, 3200):
        wait_until(lambda wanted=wanted: len(got) >= wanted or is_over.is_set(), f"{wanted} records are popped")
        host.restart()
    for popper in poppers:
        popper.join()
    assert len(set(got)) == len(got)
    missing = set(range(total)) - set(got)
    assert len(missing) <= 4 * 4  # at each kill at most one pop of each client was under way
    host.stop()
    assert host.egress("io.statefun.playground/greetings") == []


def test_a_stop_answers_everybody(greeter: Host) -> None:
    greetings(greeter, 300)
    port = greeter.playground_egress_ports[0]
    answers: list[Answer] = []

    def take() -> None:
        while True:
            try:
                answers.append(request(port, "GET", "/greetings"))
            except OSError:
                return

    poppers = [threading.Thread(target=take) for _ in range(4)]
    for popper in poppers:
        popper.start()
    wait_until(lambda: len(answers) > 40, "some records are popped")
    assert greeter.process is not None
    greeter.process.send_signal(signal.SIGTERM)
    assert greeter.wait() == 0
    for popper in poppers:
        popper.join()
    texts = [int(answer.body) for answer in answers if answer.status == 200]
    assert all(answer.status == 200 or answer.code in ("stopping", "empty") for answer in answers)
    left = [int(record["value"]) for record in greeter.egress("io.statefun.playground/greetings")]
    assert sorted(texts) + left == list(range(300))
