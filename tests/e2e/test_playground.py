# SPDX-License-Identifier: Apache-2.0
"""StateFun's playground (section 2.5 of its facts): its module files and curl lines, on a host that keeps things."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from harness import Host, HostFailed, ScriptedFunction, free_port, request, wait_until
from harness.function import Call, Reply, reply_to
from harness.host import binary

Make = Callable[[], Host]
Start = Callable[[Callable[[Call], Reply]], ScriptedFunction]

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
VENDOR = "application/vnd.example/GreetRequest"

pytestmark = pytest.mark.threads


def done(call: Call) -> Reply:
    """A function that takes everything and does nothing."""
    return Reply(reply_to(call, "proa/none", b""))


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
    function.answer = done
    function.calls.clear()
    host.start()
    host.await_idle()
    values = [value for call in function.calls for value in call.values]
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
