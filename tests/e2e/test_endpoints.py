# SPDX-License-Identifier: Apache-2.0
"""Endpoints that are no plain host and port over HTTP/1.1: Unix sockets, HTTP/2 without TLS,
several replicas behind one name; and addresses that do not answer."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from harness import Host, ScriptedFunction, free_port, wait_until
from harness.certificates import Authority
from harness.function import Call, Reply, reply_to
from harness.h2c import H2cFunction

Start = Callable[..., ScriptedFunction]
Make = Callable[[], Host]

OURS = """
kind: proa.v1/endpoint
spec:
  functions: {{odd/*: {{}}}}
  url: {url}
  retry: {{first: 5ms, max: 20ms}}
"""
STATEFUN = """
kind: io.statefun.endpoints.v2/http
spec:
  functions: odd/*
  urlPathTemplate: {url}
  transport: {{type: io.statefun.transports.v1/{transport}}}
"""


def answer(call: Call) -> Reply:
    return Reply(reply_to(call, "proa/json", b"1"))


# ---- Unix sockets ---------------------------------------------------------------------------------------------------


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Where a socket may be made; its path has few bytes, of which there are 107 at most."""
    with TemporaryDirectory(prefix="proa") as folder:
        yield Path(folder) / "functions.sock"


@pytest.mark.parametrize(
    "module",
    [OURS, STATEFUN.replace("{transport}", "async"), STATEFUN.replace("{transport}", "okhttp")],
    ids=["ours", "async", "okhttp"],
)
def test_a_function_behind_a_unix_socket(make_host: Make, scripted: Start, socket_path: Path, module: str) -> None:
    function = scripted(answer, path=socket_path)
    host = make_host().configure(module=module.format(url=function.url + "a/{function.name}/x.sock?q=1")).start()
    for _ in range(3):
        assert host.ask("odd/one/a", 1).json == 1
    assert {call.path for call in function.calls} == {"/a/one/x.sock?q=1"}
    assert {call.headers["host"] for call in function.calls} == {"localhost"}
    assert len({call.peer_port for call in function.calls}) == 1


def test_a_unix_socket_without_a_path_behind_it(make_host: Make, scripted: Start, socket_path: Path) -> None:
    function = scripted(answer, path=socket_path)
    host = make_host().configure({"odd/*": f"http+unix://{socket_path}"}).start()
    assert host.ask("odd/one/a", 1).json == 1
    assert function.calls[0].path == "/"


def test_a_unix_socket_that_is_not_there_is_waited_for(make_host: Make, scripted: Start, socket_path: Path) -> None:
    function = scripted(answer, path=socket_path)
    function.stop()
    socket_path.unlink()
    host = make_host().configure(module=OURS.format(url=function.url)).start()
    assert host.send("odd/one/a", 1).status == 202
    host.await_metric("proa_endpoints_down", 1)
    event = next(event for event in host.events() if event["event"] == "endpoint.down")
    assert event["subject"] == function.url
    assert event["text"].startswith(f"{function.url} could not be called: ")
    assert "No such file or directory" in event["text"]
    assert host.metrics()["proa_parked_messages"] == 0
    function.start()
    host.await_idle()
    assert len(function.calls) == 1


def test_each_unix_socket_has_its_connections(make_host: Make, scripted: Start, socket_path: Path) -> None:
    other_path = socket_path.with_name("other.sock")
    function, other, plain = scripted(answer, path=socket_path), scripted(answer, path=other_path), scripted(answer)
    urls = {"odd/*": function.url, "other/*": other.url, "plain/*": plain.url}
    host = make_host().configure(urls).start()
    for _ in range(3):
        for space in ("odd", "plain", "other"):
            assert host.ask(f"{space}/one/a", 1).json == 1
    for space, server in (("odd", function), ("other", other), ("plain", plain)):
        assert [call.batch.target.namespace for call in server.calls] == [space] * 3
        assert len({call.peer_port for call in server.calls}) == 1


# ---- HTTP/2 without TLS ---------------------------------------------------------------------------------------------

H2C = OURS + "  http: h2c\n  call: {{in_flight: {in_flight}, timeout: {timeout}}}\n"


@pytest.fixture
def serve_h2c() -> Iterator[Callable[[Callable[[Call], Reply]], H2cFunction]]:
    """Starts functions that speak HTTP/2 only; they stop at the end."""
    started: list[H2cFunction] = []

    def start(answer: Callable[[Call], Reply]) -> H2cFunction:
        started.append(H2cFunction(answer).start())
        return started[-1]

    yield start
    for function in started:
        function.stop()


def start_h2c(make_host: Make, function: H2cFunction, in_flight: int = 64, timeout: str = "30s") -> Host:
    module = H2C.format(url=function.url, in_flight=in_flight, timeout=timeout)
    return make_host().configure(module=module).start()


def ask_all(host: Host, count: int) -> None:
    """As many asks at once, each of an instance of its own."""
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda id: host.ask(f"odd/one/{id}", 1).json, range(count)))
    assert answers == [1] * count


def test_h2c_carries_calls_side_by_side_on_one_connection(
    make_host: Make, serve_h2c: Callable[..., H2cFunction]
) -> None:
    together = threading.Barrier(32, timeout=60)

    def answer_together(call: Call) -> Reply:
        if call.batch.target.id != "first":
            together.wait()
        return answer(call)

    function = serve_h2c(answer_together)
    host = start_h2c(make_host, function)
    assert host.ask("odd/one/first", 1).json == 1  # a type's first call goes alone
    ask_all(host, 32)
    assert len(function.connections) == 1
    call = function.calls[0]
    assert (call.headers[":method"], call.path) == ("POST", "/")
    assert call.headers["content-type"] == "application/octet-stream"
    assert call.headers["proa-features"] == "partial"
    assert host.metrics()["proa_calls_failed_total"] == 0


def test_h2c_calls_beyond_the_streams_of_a_connection_take_another(
    make_host: Make, serve_h2c: Callable[..., H2cFunction]
) -> None:
    together = threading.Barrier(130, timeout=60)  # libcurl puts 100 on a connection

    def answer_together(call: Call) -> Reply:
        if call.batch.target.id != "first":
            together.wait()
        return answer(call)

    function = serve_h2c(answer_together)
    host = start_h2c(make_host, function, in_flight=256)
    assert host.ask("odd/one/first", 1).json == 1
    ask_all(host, 130)
    assert 2 <= len(function.connections) <= 8  # one a turn, while the newest is being made


def test_h2c_large_bodies_both_ways(make_host: Make, serve_h2c: Callable[..., H2cFunction]) -> None:
    function = serve_h2c(lambda call: Reply(reply_to(call, "proa/json", call.values[0])))
    host = start_h2c(make_host, function, timeout="100s")

    def ask(id: int) -> None:
        for size in (900_000, 3, 70_000, 0, 900_000):
            text = b'"' + b"x" * size + b'"'
            headers = {"Content-Type": "application/json"}
            found = host.ask(f"odd/one/{id}", body=text, headers=headers, query="timeout=100s")
            assert (found.status, found.body.strip()) == (200, text)

    ask(0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert len(function.connections) == 1
    assert host.metrics()["proa_calls_failed_total"] == 0


def test_h2c_statuses_and_resets_are_failures(make_host: Make, serve_h2c: Callable[..., H2cFunction]) -> None:
    troubles = [
        Reply(status=503, headers={"retry-after": "0"}),
        Reply(status=500, content_type="text/plain", body=b"sorry"),
        Reply(content_type="text/html", body=b"<html>"),
        Reply(hang_up=True),  # resets its stream
    ]
    function = serve_h2c(lambda call: troubles[len(function.calls) - 1] if len(function.calls) <= 4 else answer(call))
    host = start_h2c(make_host, function)
    assert host.ask("odd/one/a", 1).json == 1
    assert len(function.calls) == 5
    metrics = host.metrics()
    assert (metrics["proa_calls_failed_total"], metrics["proa_parked_messages"]) == (4, 0)


def test_h2c_an_empty_answer_without_a_length_is_success(
    make_host: Make, serve_h2c: Callable[..., H2cFunction]
) -> None:
    function = serve_h2c(lambda call: Reply(body=b""))
    host = start_h2c(make_host, function)
    assert host.send("odd/one/a", 1).status == 202
    wait_until(lambda: len(function.calls) > 0, "it is called")
    host.await_idle()
    assert len(function.calls) == 1
    assert host.metrics()["proa_calls_failed_total"] == 0


def test_h2c_a_call_that_hangs_holds_up_no_other(make_host: Make, serve_h2c: Callable[..., H2cFunction]) -> None:
    release = threading.Event()

    def answer_late(call: Call) -> Reply:
        if call.batch.target.id == "hangs" and len([c for c in function.calls if c.batch.target.id == "hangs"]) == 1:
            release.wait(60)
        return answer(call)

    function = serve_h2c(answer_late)
    host = start_h2c(make_host, function, timeout="5s")
    assert host.ask("odd/one/a", 1).json == 1
    assert host.send("odd/one/hangs", 1).status == 202
    while not any(call.batch.target.id == "hangs" for call in function.calls):
        host.ask("odd/one/a", 1)
    ask_all(host, 16)
    host.await_idle()  # the first call timed out, the second was answered
    release.set()
    ask_all(host, 16)
    assert host.metrics()["proa_calls_failed_total"] == 1
    assert len([call for call in function.calls if call.batch.target.id == "hangs"]) == 2


@pytest.mark.parametrize("end", ["hang up", "go away"])
def test_h2c_a_connection_that_ends_is_replaced(
    make_host: Make, serve_h2c: Callable[..., H2cFunction], end: str
) -> None:
    function = serve_h2c(answer)
    host = start_h2c(make_host, function)
    for round in range(1, 4):
        ask_all(host, 8)
        assert len(function.connections) == round
        if end == "hang up":
            function.hang_up()
        else:
            function.connections[-1].go_away()
    assert host.metrics()["proa_calls_failed_total"] == 0


def test_h2c_calls_under_way_when_the_server_ends_are_made_again(
    make_host: Make, serve_h2c: Callable[..., H2cFunction]
) -> None:
    arrived = threading.Semaphore(0)

    def answer_or_hang(call: Call) -> Reply:
        arrived.release()
        if len(function.calls) in range(2, 10):
            threading.Event().wait(60)
        return answer(call)

    function = serve_h2c(answer_or_hang)
    host = start_h2c(make_host, function)
    assert host.ask("odd/one/first", 1).json == 1
    for id in range(8):
        assert host.send(f"odd/one/{id}", 1).status == 202
    for _ in range(9):
        assert arrived.acquire(timeout=60)
    function.stop()
    host.await_metric("proa_endpoints_down", 1)
    function.start()
    host.await_idle()
    assert sorted(call.batch.target.id for call in function.calls[9:]) == [str(id) for id in range(8)]


def test_h2c_against_a_server_of_1_1_is_the_endpoints_fault(make_host: Make, scripted: Start) -> None:
    function = scripted(answer)
    host = make_host().configure(module=H2C.format(url=function.url, in_flight=1, timeout="30s")).start()
    assert host.send("odd/one/a", 1).status == 202
    host.await_metric("proa_endpoints_down", 1)
    assert function.calls == []
    assert host.metrics()["proa_parked_messages"] == 0


def test_endpoints_of_both_versions_at_one_address(make_host: Make, serve_h2c: Callable[..., H2cFunction]) -> None:
    function = serve_h2c(answer)
    old = OURS.format(url=function.url).replace("odd/*", "old/*")
    host = make_host().configure(module=H2C.format(url=function.url, in_flight=9, timeout="30s") + "---" + old).start()
    for _ in range(3):
        assert host.ask("odd/one/a", 1).json == 1
    assert host.send("old/one/a", 1).status == 202
    host.await_metric("proa_endpoints_down", 1)  # this server takes no 1.1
    assert host.ask("odd/one/a", 1).json == 1


# ---- addresses that do not answer -----------------------------------------------------------------------------------


@pytest.fixture
def black_hole() -> Iterator[Callable[..., socket.socket]]:
    """Makes ports that take no connection and refuse none, as the address of a machine that is gone."""
    opened: list[socket.socket] = []

    def dig(address: str, port: int) -> socket.socket:
        hole = socket.socket()
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind((address, port))
        hole.listen(0)
        opened.append(hole)
        for _ in range(3):  # who fill its queue
            opened.append(socket.socket())
            opened[-1].setblocking(False)
            opened[-1].connect_ex((address, port))
        return hole

    yield dig
    for each in opened:
        each.close()


def await_failures(host: Host, count: int, *words: str) -> None:
    """Calls fail so often, for one reason, which is the endpoint's fault."""
    metrics = host.await_metrics(lambda metrics: metrics["proa_calls_failed_total"] >= count, "calls fail")
    assert (metrics["proa_endpoints_down"], metrics["proa_parked_messages"]) == (1, 0)
    event = next(event for event in host.events() if event["event"] == "endpoint.down")
    for word in words:
        assert word in event["text"], event


def test_an_address_that_takes_no_connection_is_the_endpoints_fault(
    make_host: Make, scripted: Start, black_hole: Callable[..., socket.socket]
) -> None:
    port = free_port()
    hole = black_hole("127.0.0.1", port)
    module = OURS.format(url=f"http://127.0.0.1:{port}/") + "  call: {timeout: 100ms}\n"
    host = make_host().configure(module=module).start()
    assert host.send("odd/one/a", 1).status == 202
    await_failures(host, 4, "could not be called: Connection timed out")
    hole.close()
    scripted(answer, port=port)
    host.await_idle()
    host.stop()


def test_connecting_has_a_deadline_of_its_own(make_host: Make, black_hole: Callable[..., socket.socket]) -> None:
    """StateFun's `connect`: that nobody answers is known long before `call` is over."""
    port = free_port()
    black_hole("127.0.0.1", port)
    module = STATEFUN.format(url=f"http://127.0.0.1:{port}/", transport="async, call: 10m, connect: 100ms")
    host = make_host().configure(module=module).start()
    assert host.send("odd/one/a", 1).status == 202
    await_failures(host, 2, "could not be called: ", "imeout")  # libcurl: "Timeout was reached" or "Connection timeout"


def test_a_handshake_that_hangs_is_the_endpoints_fault(make_host: Make, scripted: Start) -> None:
    plain = scripted(answer)
    with socket.create_server(("127.0.0.1", 0)) as mute:  # its connections are taken, and nobody speaks
        url = f"https://127.0.0.1:{mute.getsockname()[1]}/"
        module = OURS.format(url=url) + "  call: {timeout: 100ms}\n  tls: {verify: false}\n"
        module += "---" + OURS.format(url=plain.url).replace("odd", "plain")
        host = make_host().configure(module=module).start()
        assert host.send("odd/one/a", 1).status == 202
        assert host.ask("plain/one/a", 1).json == 1
        await_failures(host, 4, "could not be called: ")
        assert host.ask("plain/one/b", 1).json == 1
        host.stop()


# ---- replicas -------------------------------------------------------------------------------------------------------

NAME = "functions.test"


class Names:
    """A file of names that hosts see as /etc/hosts, each in a mount namespace of its own."""

    def __init__(self, path: Path) -> None:
        self.prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c"]
        self.prefix += ['mount --bind "$0" /etc/hosts && exec "$@"', str(path)]
        self._path = path

    def put(self, *addresses: str) -> None:
        """Says whom NAME means from now on."""
        self._path.write_text("".join(f"{address} {NAME}\n" for address in addresses))


@pytest.fixture
def names(tmp_path: Path) -> Names:
    names = Names(tmp_path / "hosts")
    names.put()
    try:
        done = subprocess.run([*names.prefix, "true"], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if done.returncode != 0:
        pytest.skip(f"this user may not make a mount namespace: {done.stderr.strip()}")
    return names


def replicas_of(scripted: Start, *addresses: str, **more: object) -> list[ScriptedFunction]:
    """A function at each of these addresses, on one port."""
    port = free_port()
    return [scripted(answer, address=address, port=port, **more) for address in addresses]


class Load:
    """Clients that ask, each its own instances, until they are told to stop; every ask must be answered."""

    def __init__(self, host: Host, clients: int) -> None:
        self.asked: list[str] = []
        self._host = host
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._clients = [self._pool.submit(self._run, client) for client in range(clients)]

    def _run(self, client: int) -> None:
        number = 0
        while not self._stop.is_set():
            id = f"{client}-{number}"
            found = self._host.ask(f"odd/one/{id}", 1)
            assert (found.status, found.json) == (200, 1), found
            self.asked.append(id)
            number += 1

    def stop(self) -> None:
        """Ends the clients; AssertionError if an ask was not answered."""
        self._stop.set()
        for client in self._clients:
            client.result(60)
        self._pool.shutdown()


def test_replicas_share_the_work_and_come_and_go(make_host: Make, scripted: Start, names: Names) -> None:
    addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    replicas = replicas_of(scripted, *addresses)
    first, second, third = replicas
    names.put(*addresses)
    host = make_host().configure(module=OURS.format(url=f"http://{NAME}:{first.port}/"))
    host.prefix = names.prefix
    host.start()
    load = Load(host, 8)
    wait_until(lambda: len(load.asked) > 200, "calls are made")
    counts = [len(replica.calls) for replica in replicas]
    assert min(counts) > sum(counts) / 6, counts  # about a third each

    second.stop()
    before = len(load.asked)
    wait_until(lambda: len(load.asked) > before + 200, "calls go on without a replica")
    failed = host.metrics()["proa_calls_failed_total"]
    assert failed <= 8  # those it had under way
    before = len(load.asked)
    wait_until(lambda: len(load.asked) > before + 200, "calls go on")
    assert host.metrics()["proa_calls_failed_total"] == failed  # to the others, within the call

    fourth = scripted(answer, address="127.0.0.4", port=first.port)
    names.put("127.0.0.1", "127.0.0.4")
    wait_until(lambda: len(fourth.calls) > 0, "a replica that came is called")
    counts = [len(replica.calls) for replica in (first, third, fourth)]
    before = len(load.asked)
    wait_until(lambda: len(load.asked) > before + 200, "calls are made to those the name has")
    more = [len(replica.calls) - count for replica, count in zip((first, third, fourth), counts, strict=True)]
    assert more[1] <= 8  # those that were under way
    assert min(more[0], more[2]) > 50, more

    load.stop()
    handled = {call.batch.target.id for replica in (*replicas, fourth) for call in replica.calls}
    assert handled == set(load.asked)
    assert host.await_idle()["proa_parked_messages"] == 0


def test_a_replica_with_a_bad_certificate_is_told_of_and_left_out(
    make_host: Make, scripted: Start, names: Names, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "authority")
    good = replicas_of(scripted, "127.0.0.1", tls=authority.server(NAME))[0]
    bad = scripted(answer, address="127.0.0.2", port=good.port, tls=authority.server(NAME, days=-1))
    names.put("127.0.0.1", "127.0.0.2")
    module = OURS.format(url=f"https://{NAME}:{good.port}/") + f"  tls: {{ca: {authority.ca}}}\n"
    host = make_host().configure(module=module)
    host.prefix = names.prefix
    host.start()
    for id in range(20):
        assert host.ask(f"odd/one/{id}", 1).json == 1
    assert bad.calls == []
    assert host.metrics()["proa_calls_failed_total"] == 1
    assert any(
        "certificate has expired" in event["text"] for event in host.events() if event["event"] == "endpoint.down"
    )
