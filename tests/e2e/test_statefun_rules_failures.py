# SPDX-License-Identifier: Apache-2.0
"""StateFun's rules R33 to R36: failing functions, and the promise of once. One test a rule.

Of R33 to R35 Proa betters each: the tests show what it does instead, docs/statefun.md lists it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from harness import Host, ScriptedFunction, wait_until
from harness.function import Call, Reply
from harness.scripted import Result, address, incomplete, missing, put, sequence, spec, states

Serve = Callable[..., tuple[Host, ScriptedFunction]]
Start = Callable[[Callable[[Call], Reply]], ScriptedFunction]
STATEFUN = """kind: io.statefun.endpoints.v2/http
spec:
  functions: test/*
  urlPathTemplate: {url}
  transport: {{type: io.statefun.transports.v1/{transport}, {keys}}}
"""
FAILURES = {"status": Reply(status=404), "type": Reply(content_type="text/html", body=b""), "end": Reply(hang_up=True)}


def done(call: Call) -> Reply:
    return Result().reply


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_r33_failed_calls_of_async_are_repeated_without_end(
    make_host: Callable[[], Host], scripted: Start, failure: Reply
) -> None:
    """Proa's own: after 50 ms, 100 ms and so on (a fifth less at most), beyond `call` too, which bounds one attempt."""
    times: list[float] = []

    def answer(call: Call) -> Reply:
        times.append(time.monotonic())
        return failure if len(times) <= 6 else done(call)

    module = STATEFUN.format(url=scripted(answer).url, transport="async", keys="call: 2 s")
    host = make_host().configure(module=module).start()
    put(host, "test/f/a", b"1")
    metrics = host.await_metric("proa_messages_handled_total", 1)
    assert metrics["proa_calls_failed_total"] == 6
    assert times[-1] - times[0] > 2, "it went on beyond `call`"
    assert metrics["proa_parked_messages"] == metrics["proa_messages_dropped_total"] == 0
    pauses_ms = [1000 * (after - before) for before, after in zip(times, times[1:], strict=False)]
    for number, pause_ms in enumerate(pauses_ms):
        assert pause_ms >= 0.8 * 50 * 2**number - 3, pauses_ms


@pytest.mark.parametrize("status", [302, 307, 400, 403, 404, 409, 429, 500, 501, 503])
def test_r34_okhttp_repeats_as_async_does(make_host: Callable[[], Host], scripted: Start, status: int) -> None:
    """Proa's own: no status fails at once, and no redirect is ever followed."""
    elsewhere = scripted(done)
    failure = Reply(status=status, headers={"Location": elsewhere.url})
    function = scripted(lambda call: failure if len(function.calls) <= 2 else done(call))
    module = STATEFUN.format(url=function.url, transport="okhttp", keys="timeouts: {call: 10 s}")
    host = make_host().configure(module=module).start()
    put(host, "test/f/a", b"1")
    host.await_metric("proa_messages_handled_total", 1)
    assert [call.values for call in function.calls] == [[b"1"]] * 3
    assert elsewhere.calls == []


@pytest.mark.parametrize("then", ["block", "park", "drop"])
def test_r35_a_poison_message_stops_nobody_else(serve: Serve, then: str) -> None:
    """Proa's own: after its attempts it is held, parked or dropped as declared; no job fails, nothing starts again."""
    host, function = serve(
        lambda call: Reply(status=500) if b"poison" in call.values else done(call),
        retry=f"attempts: 3, then: {then}",
    )
    put(host, "test/f/a", b"before", b"poison", b"after")
    counter = {"block": "instances_blocked", "park": "parked_messages", "drop": "messages_dropped_total"}[then]
    host.await_metric(f"proa_{counter}", 1)
    put(host, "test/f/b", b"1")
    host.await_metric("proa_messages_handled_total", 2 if then == "block" else 3)
    assert sequence(function.calls, "test/f/b") == [b"1"]
    if then == "block":
        assert b"after" not in [
            value for call in function.calls if b"poison" not in call.values for value in call.values
        ]
        function.answer = done  # once it is mended nothing is lost
    host.await_idle()
    handled = [value for call in function.calls[-2:] for value in call.values if address(call) == "test/f/a"]
    assert handled[-1] == b"after"
    assert host.is_ready()


def test_r36_once_and_again_after_a_kill(serve: Serve) -> None:
    """Calls under way are made again before new input, with the state and no handshake; all changes happen once."""
    count = spec("count")
    gate = threading.Event()

    def answer(call: Call) -> Reply:
        if missing(call, count):
            return incomplete(count)
        if b"held" in call.values and not gate.wait(60):
            return Reply(hang_up=True)
        before = int(states(call)["count"] or b"0")
        result = Result().set("count", b"%d" % (before + len(call.values)))
        for number, value in enumerate(call.values, before):
            result.emit("test/records", b"%d %s" % (number, value)).delay("test/g/b", 1, value)
        return result.reply if call.batch.target.type == "f" else done(call)

    host, function = serve(answer)
    for round in range(5):
        put(host, "test/f/a", *(b"%d.%d" % (round, number) for number in range(3)))
        host.restart()
    host.await_idle()
    put(host, "test/f/a", b"held")
    wait_until(lambda: [b"held"] in [call.values for call in function.calls], "the call is under way")
    host.kill()
    calls_before = len(function.calls)
    host.start()
    wait_until(lambda: len(function.calls) > calls_before, "it is made again, without any input")
    put(host, "test/f/a", b"new")
    gate.set()
    host.await_idle()
    again = function.calls[calls_before]
    assert (again.values, states(again)) == ([b"held"], {"count": b"15"})
    assert host.metrics()["proa_handshakes_total"] == 0
    put(host, "test/f/a", b"look")
    host.await_idle()
    assert states([call for call in function.calls if address(call) == "test/f/a"][-1]) == {"count": b"17"}
    applied = [b"%d.%d" % (round, number) for round in range(5) for number in range(3)] + [b"held", b"new", b"look"]
    assert set(sequence(function.calls, "test/g/b")) == set(applied)
    host.stop()
    records = host.egress("test/records")
    assert len(records) == len(applied) == 18
