# SPDX-License-Identifier: Apache-2.0
"""Servers as they are in the field: they throttle, they limit bodies, they close connections when they like.

Nothing is lost, nothing is applied twice, and no message is blamed for what its server does. The limits of the
servers that StateFun's SDKs usually stand on are in tests/interop/test_language.py.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate

import pytest
from harness import Host, ScriptedFunction, wait_until
from harness.function import Call, Reply
from harness.scripted import Result, address, incomplete, missing, put, sequence, spec, states

Serve = Callable[..., tuple[Host, ScriptedFunction]]
MIB = 1 << 20
COUNT = spec("count")
CALM = """
---
kind: proa.v1/endpoint
spec: {{functions: {{calm/*: {{}}}}, url: "{url}"}}
"""


def done(call: Call) -> Reply:
    return Result().reply


def count(call: Call) -> Reply:
    """Counts its messages and writes each into the egress."""
    if missing(call, COUNT):
        return incomplete(COUNT)
    before = int(states(call)["count"] or b"0")
    result = Result().set("count", b"%d" % (before + len(call.values)))
    for value in call.values:
        result.emit("test/records", value)
    return result.reply


def check_once(host: Host, function: ScriptedFunction, to: str, values: list[bytes]) -> None:
    """Every message was applied once and in order, and nothing and nobody was blamed. Stops the host."""
    metrics = host.await_idle()
    for name in ("proa_parked_messages", "proa_messages_dropped_total", "proa_instances_blocked", "proa_types_blocked"):
        assert metrics[name] == 0, name
    function.answer = count
    put(host, to, b"look")
    host.await_idle()
    assert states([call for call in function.calls if address(call) == to][-1]) == {"count": b"%d" % len(values)}
    host.stop()
    sender = [record for record in host.egress("test/records") if record["sender"] == to]
    assert len(sender) == len(values) + 1
    assert list(dict.fromkeys(sequence(function.calls, to))) == [*values, b"look"]


# ---- throttling ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "retry_after", "asked_s"),
    [
        (429, lambda: "1", 0.997),  # the host's clock has whole milliseconds, this one has not
        (503, lambda: "1", 0.997),
        (429, lambda: formatdate(time.time() + 2, usegmt=True), 0.9),  # a date has whole seconds
        (503, lambda: None, 0.037),  # 50 ms less a fifth
        (429, lambda: "soon", 0.037),
    ],
)
def test_throttled_calls_wait_as_asked(
    serve: Serve, scripted: Callable[..., ScriptedFunction], status: int, retry_after: Callable[[], str], asked_s: float
) -> None:
    times: list[float] = []

    def throttle(call: Call) -> Reply:
        times.append(time.monotonic())
        if len(times) in (3, 4):
            word = retry_after()
            return Reply(status=status, headers={} if word is None else {"Retry-After": word})
        return count(call)

    host, function = serve(throttle)
    calm = scripted(done)
    module = host.folder / "module.yaml"
    module.write_text(module.read_text() + CALM.format(url=calm.url))
    host.stop()
    host.start()
    values = [b"%d" % number for number in range(30)]
    for number, value in enumerate(values):
        put(host, "test/f/a", value)
        if number == 0:
            host.await_idle()
    wait_until(lambda: "endpoint.down" in [event["event"] for event in host.events()], "the endpoint is seen as down")
    put(host, "calm/f/a", b"1")  # another endpoint knows nothing of this
    wait_until(lambda: len(calm.calls) == 1, "it is called meanwhile")
    host.await_idle()
    assert times[3] - times[2] >= asked_s and times[4] - times[3] >= asked_s
    assert host.metrics()["proa_calls_failed_total"] == 2, "an endpoint that asks for patience is not hammered"
    check_once(host, function, "test/f/a", values)


# ---- limits of bodies ---------------------------------------------------------------------------------------


def test_batches_over_the_limit_of_a_server_are_halved(serve: Serve) -> None:
    """A batch of eight that is refused before it was sent whole; halves and quarters of it then fit."""
    host, function = serve(count, call="timeout: 30s, batch_bytes: 8MiB", body_bytes_max=MIB)
    function.stop()
    values = [bytes([65 + number]) * 300_000 for number in range(8)]
    put(host, "test/f/a", *values)
    host.restart()  # forgets how far the endpoint was off
    function.start()
    host.await_idle()
    assert function.refused >= 1
    assert max(len(call.values) for call in function.calls) in (2, 3)
    check_once(host, function, "test/f/a", values)


def test_one_message_over_the_limit_of_a_server_blocks_its_instance_visibly(serve: Serve) -> None:
    host, function = serve(count, body_bytes_max=MIB // 2)
    put(host, "test/f/open", b"1")
    host.await_idle()
    values = [b"before", b"x" * (MIB // 2), b"after"]
    put(host, "test/f/a", *values)
    metrics = host.await_metric("proa_instances_blocked", 1)
    assert metrics["proa_endpoints_down"] == metrics["proa_parked_messages"] == 0
    put(host, "test/f/b", b"1")
    host.await_metric("proa_mailbox_messages", 2)  # what others send goes on; this one and what is behind it wait
    function.body_bytes_max = MIB
    host.restart()  # an operator's way not to wait for the next attempt
    check_once(host, function, "test/f/a", values)


# ---- connections --------------------------------------------------------------------------------------------


def first_on_connection() -> Callable[[Call], bool]:
    """Tells the first call on a connection from later ones."""
    seen: Counter[int] = Counter()

    def is_first(call: Call) -> bool:
        seen[call.peer_port] += 1
        return seen[call.peer_port] == 1

    return is_first


@pytest.mark.parametrize("says_so", [True, False])
def test_connections_closed_after_each_answer(serve: Serve, says_so: bool) -> None:
    def answer(call: Call) -> Reply:
        reply = count(call)
        reply.is_last = True
        reply.headers = {"Connection": "close"} if says_so else {}
        return reply

    host, function = serve(answer)
    values = [b"%d" % number for number in range(40)]
    for value in values:
        put(host, "test/f/a", value)
        put(host, f"test/f/{value.decode()}", b"1")
    host.await_idle()
    assert host.metrics()["proa_calls_failed_total"] == 0
    check_once(host, function, "test/f/a", values)


@pytest.mark.parametrize("way", ["hang_up", "reset"])
def test_connections_closed_as_the_next_request_arrives(serve: Serve, way: str) -> None:
    """The race of every keep-alive: the request is on its way when the server closes. It is made on another one."""
    is_first = first_on_connection()
    host, function = serve(lambda call: count(call) if is_first(call) else Reply(**{way: True}))
    values = [b"%d" % number for number in range(20)]
    for value in values:
        put(host, "test/f/a", value)
        host.await_metric("proa_mailbox_messages", 0)
    assert len(function.calls) > len(values) + 10, "connections were kept, and closed under requests"
    assert not [event for event in host.events() if event["event"] == "endpoint.down"]
    check_once(host, function, "test/f/a", values)


def test_connections_closed_when_idle(serve: Serve) -> None:
    """Some calls find an open connection, some a closed one, some one that is being closed."""
    host, function = serve(count, keep_alive_s=0.15)
    values = [b"%d" % number for number in range(25)]
    for number, value in enumerate(values):
        put(host, "test/f/a", value)
        host.await_metric("proa_mailbox_messages", 0)
        if number >= 5:
            time.sleep(0.13 + number % 10 * 0.004)  # about the server's patience
    assert 1 < len({call.peer_port for call in function.calls}) < len(function.calls)
    assert not [event for event in host.events() if event["event"] == "endpoint.down"]
    check_once(host, function, "test/f/a", values)


@pytest.mark.parametrize("bytes_sent", [0, 5])
def test_answers_cut_short_are_not_applied(serve: Serve, bytes_sent: int) -> None:
    """The function has done its work and the answer is lost: it is called again, and its changes happen once."""

    def answer(call: Call) -> Reply:
        reply = count(call)
        if len(function.calls) % 2 == 0 and not missing(call, COUNT):
            reply.cut_at = bytes_sent
        return reply

    host, function = serve(answer)
    values = [b"%d" % number for number in range(12)]
    for value in values:
        put(host, "test/f/a", value)
    check_once(host, function, "test/f/a", values)


def test_an_answer_that_nobody_asked_for_answers_nothing(serve: Serve) -> None:
    """An empty one would end the next message, of whatever instance, as handled without effects."""
    stray = threading.Event()

    def answer(call: Call) -> Reply:
        reply = Result().answer(call, b"yes").reply
        reply.stray = stray if len(function.calls) == 1 else None
        return reply

    host, function = serve(answer)
    assert host.ask("test/f/a", 1).body == b"yes"
    stray.set()
    wait_until(lambda: not stray.is_set(), "the second answer to the first call is sent")
    assert host.ask("test/f/b", 2).body == b"yes"
    assert [address(call) for call in function.calls] == ["test/f/a", "test/f/b"]
    assert host.metrics()["proa_calls_failed_total"] == 0
