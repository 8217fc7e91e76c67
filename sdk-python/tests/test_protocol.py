# SPDX-License-Identifier: Apache-2.0
"""Calls: batches, failures and what is taken back, replies, sends, timers, egress."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from support import ASKER, HEADERS, INVOCATION, call, make_call, request, run

import proa
from proa import _wire_pb2 as wire


class Total(proa.State):
    total = proa.value(int, default=0)


app = proa.App(threads=2)
other = proa.remote("shop/other", int)
seen: list[Any] = []


@app.function("a/work")
async def work(ctx: proa.Context[Total], step: int) -> int:
    ctx.state.total += step
    ctx.send(other, id="x", message=step)
    ctx.send_after(timedelta(seconds=1), other, id="x", message=step, token=f"t{step}")
    ctx.emit("a/out", step)
    if step == 13:
        raise proa.Reject("unlucky", "no thirteen")
    if step == 14:
        raise RuntimeError("boom " + "x" * 1000 + "\x00\ud800")
    return ctx.state.total


@app.function("a/thread")
def in_thread(ctx: proa.Context[Total], step: int) -> str:
    seen.append((step, threading.current_thread().name, variable.get()))
    time.sleep(0.001)
    if step == 13:
        raise ValueError("thirteen")
    ctx.state.total += step
    return threading.current_thread().name


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
UNSET: dict[str, Any] = {"total": None}


def lengths(result: wire.FromFunction.InvocationResponse) -> tuple[int, int, int]:
    return len(result.outgoing_messages), len(result.delayed_invocations), len(result.outgoing_egresses)


def test_batch() -> None:
    result = call(app, "a/work/1", 1, 2, 3, states=UNSET, caller=ASKER).result
    assert lengths(result) == (6, 3, 3)
    replies = [m for m in result.outgoing_messages if m.target.namespace == "proa"]
    assert [reply.argument.value[1] for reply in replies] == [1, 3, 6]
    assert len(result.state_mutations) == 1
    assert result.state_mutations[0].state_value.value == b"\x09\x06" + bytes(7)


@pytest.mark.parametrize(("step", "code", "retryable"), [(13, "unlucky", False), (14, "exception", True)])
def test_failure_takes_back_to_its_mark(step: int, code: str, retryable: bool) -> None:
    result = call(app, "a/work/1", 1, 2, step, 4, states=UNSET, caller=ASKER).result
    assert lengths(result) == (4, 2, 2)
    assert (result.failure.index, result.failure.code, result.failure.retryable) == (2, code, retryable)
    assert result.state_mutations[0].state_value.value == b"\x09\x03" + bytes(7)
    assert len(result.failure.message.encode()) <= 1000
    first = call(app, "a/work/1", step, 2, states=UNSET, caller=ASKER).result
    assert lengths(first) == (0, 0, 0)
    assert not first.state_mutations
    assert first.HasField("failure")
    assert first.failure.index == 0


def test_an_answer_that_fails_leaves_no_trace_in_the_state() -> None:
    failing = proa.App()

    @failing.function("a/mute")
    async def mute(ctx: proa.Context[Total], step: int) -> int:
        ctx.state.total += step
        return "not a number" if step == 7 else ctx.state.total  # type: ignore[return-value]

    @failing.function("a/both")
    async def both(ctx: proa.Context[Total], step: int) -> int:
        ctx.state.total += step
        if step == 7:
            ctx.defer()
        return ctx.state.total

    for name in ("a/mute", "a/both"):
        result = call(failing, f"{name}/1", 1, 7, states=UNSET, caller=ASKER).result
        assert result.failure.index == 1
        assert result.state_mutations[0].state_value.value == b"\x09\x01" + bytes(7)


def test_failure_without_the_feature() -> None:
    answer = call(app, "a/work/1", 1, 14, states=UNSET, partial=False)
    assert answer.status == 500
    assert answer.text.startswith("a/work/1: message 2 of 2 failed: ")
    assert answer.headers["proa-features"] == "partial"


def test_failures_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "proa"):
        call(app, "a/work/1", 13, states=UNSET)
        call(app, "a/work/1", 14, states=UNSET)
    assert caplog.records[0].getMessage() == "a/work/1 rejects message 1 of 1: unlucky: no thirteen"
    assert caplog.records[1].exc_info is not None


def test_threads_keep_the_order_and_the_context() -> None:
    async def story() -> None:
        variable.set("set")
        steps = list(range(1, 8))
        answer = await request(app, make_call("a/thread/1", *steps, states=UNSET, caller=ASKER))
        assert len(answer.result.outgoing_messages) == 7
        assert [step for step, _, _ in seen] == steps
        assert {value for _, _, value in seen} == {"set"}
        assert len({name for _, name, _ in seen}) == 1
        assert seen[0][1].startswith("proa-function")
        failed = (await request(app, make_call("a/thread/1", 1, 13, states=UNSET))).result
        assert failed.failure.message == "ValueError: thirteen"
        assert failed.failure.index == 1

    seen.clear()
    run(story())
    app.close()
    app.close()


def test_threads_are_bounded() -> None:
    small = proa.App(threads=2)
    running, most = [0], [0]
    lock = threading.Lock()
    both = threading.Barrier(2)

    @small.function("a/f")
    def function(ctx: proa.Context, step: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        both.wait(60)
        time.sleep(0.01)
        with lock:
            running[0] -= 1

    async def story() -> None:
        await asyncio.gather(*[request(small, make_call(f"a/f/{number}", 1)) for number in range(10)])

    run(story())
    small.close()
    assert most[0] == 2


def test_unknown_function() -> None:
    failed = call(app, "a/nowhere/1", 1).result.failure
    assert (failed.index, failed.code, failed.retryable) == (0, "unknown_function", True)
    assert failed.message == "function a/nowhere is not served here; served: a/thread, a/work"
    assert call(app, "a/nowhere/1", 1, partial=False).status == 500
    assert call(app, "a/nowhere/1").status == 500
    assert "served: none" in call(proa.App(), "a/nowhere/1", 1, partial=False).text


def test_unreadable_message_is_rejected() -> None:
    failed = call(app, "a/work/1", 1, "x", states=UNSET).result.failure
    assert (failed.index, failed.code, failed.retryable) == (1, "bad_message", False)
    assert failed.message == "function a/work: expected an integer, got type io.statefun.types/string"


def test_cancellation_passes() -> None:
    own = proa.App()
    started = asyncio.Event()

    @own.function("a/f")
    async def function(ctx: proa.Context, step: int) -> None:
        started.set()
        await asyncio.sleep(60)

    async def story() -> None:
        task = asyncio.ensure_future(request(own, make_call("a/f/1", 1)))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(story())


# One function whose handler each test brings along.

handlers: list[Any] = []
free = proa.App()


@free.function("a/free")
async def free_function(ctx: proa.Context, message: int) -> Any:
    return handlers[0](ctx)


def result_of(handler: Any, caller: Any = None, message: Any = 1) -> wire.FromFunction.InvocationResponse:
    handlers[:] = [handler]
    return call(free, "a/free/1", message, caller=caller).result


def failure_of(handler: Any, caller: Any = None) -> str:
    result = result_of(handler, caller)
    assert lengths(result) == (0, 0, 0)
    return result.failure.message


def test_context() -> None:
    def look(ctx: Any) -> None:
        assert ctx.id == "1"
        assert ctx.address == proa.Address("a", "free", "1")
        assert ctx.address.function == "a/free"
        assert ctx.caller == proa.Address("a", "friend", "2")
        assert not ctx.is_ask
        assert ctx.message_id == ctx.traceparent == ""

    def ask(ctx: Any) -> None:
        assert ctx.caller is None
        assert ctx.is_ask

    for handler, caller in (
        (look, ("a", "friend", "2")),
        (ask, ASKER),
        (lambda ctx: ctx.caller is None or 1 / 0, None),
    ):
        result = result_of(handler, caller)
        assert not result.HasField("failure"), result.failure.message


def test_trace_header_stands_in() -> None:
    traces: list[str] = []
    handlers[:] = [lambda ctx: traces.append(ctx.traceparent)]
    run(request(free, make_call("a/free/1", 1), headers=[*HEADERS, (b"traceparent", b"00-ab")]))
    assert traces == ["00-ab"]


def test_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        result_of(lambda ctx: (ctx.log.info("hello %d", 5, extra={"mine": 1}), ctx.log)[0])
    record: Any = caplog.records[0]
    assert record.getMessage() == "a/free/1: hello 5"
    assert (record.proa_address, record.proa_message_id, record.traceparent, record.mine) == ("a/free/1", "", "", 1)


def test_answer_of_a_plain_send_is_dropped() -> None:
    assert lengths(result_of(lambda ctx: 5)) == (0, 0, 0)


def test_none_answers_no_content() -> None:
    reply = result_of(lambda ctx: None, ASKER).outgoing_messages[0]
    assert reply.target.id == INVOCATION
    assert reply.argument == wire.TypedValue(typename="proa/none")


def test_send_to_addresses() -> None:
    def handler(ctx: Any) -> None:
        ctx.send(ctx.caller, message="back")
        ctx.send_after(timedelta(0), ctx.caller, message=5)

    result = result_of(handler, ("a", "friend", "2"))
    assert result.outgoing_messages[0].target == wire.Address(namespace="a", type="friend", id="2")
    assert result.delayed_invocations[0].argument.typename == "io.statefun.types/long"


def test_delays_are_rounded_up() -> None:
    result = result_of(lambda ctx: ctx.send_after(timedelta(microseconds=1001), other, id="x", message=1))
    assert result.delayed_invocations[0].delay_in_ms == 2


def test_emit_names() -> None:
    def handler(ctx: Any) -> None:
        ctx.emit("a/out", {"k": 1})
        ctx.emit("a/out", {"k": 1}, "shop/Record")
        ctx.emit("a/out", proa.RawValue("x/y", b"z"))

    records = result_of(handler).outgoing_egresses
    assert [record.argument.typename for record in records] == ["proa/json", "shop/Record", "x/y"]
    assert (records[0].egress_namespace, records[0].egress_type) == ("a", "out")


def swallow(function: Any) -> Any:
    """Let a handler go on after a mistake: nothing half made may stay behind."""

    def handler(ctx: Any) -> None:
        with pytest.raises(proa.ProaError):
            function(ctx)

    return handler


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda ctx: ctx.send(other, id="", message=1), "the id of shop/other must not be empty"),
        (lambda ctx: ctx.send(other, id=5, message=1), "the id of shop/other must be a str, not int"),
        (lambda ctx: ctx.send(other, id="a\x00", message=1), "must not hold a NUL"),
        (lambda ctx: ctx.send(other, id="a" * 4097, message=1), "4097 bytes long, 4096 is the limit"),
        (lambda ctx: ctx.send(other, id="\ud800", message=1), "the message to shop/other"),
        (lambda ctx: ctx.send(other, id="x", message="y"), "the message to shop/other: expected an int, got str"),
        (lambda ctx: ctx.send("shop/other", id="x", message=1), "send wants a function"),
        (lambda ctx: ctx.send_after(timedelta(-1), other, id="x", message=1), "must not be negative"),
        (lambda ctx: ctx.send_after(5, other, id="x", message=1), "must be a datetime.timedelta, not int"),
        (lambda ctx: ctx.send_after(timedelta(1), other, id="x", message="y"), "expected an int, got str"),
        (lambda ctx: ctx.send_after(timedelta(1), other, id="x", message=1, token="\x00"), "token .* NUL"),
        (lambda ctx: ctx.cancel(""), "the token to cancel must not be empty"),
        (lambda ctx: ctx.emit("out", 5), "the name of an egress must be written namespace/name"),
        (lambda ctx: ctx.emit("a/out", object()), "the record for egress a/out: .* no JSON form"),
        (lambda ctx: ctx.emit("a/out", "\ud800"), "the record for egress a/out: .* not valid Unicode"),
        (lambda ctx: ctx.emit("a/out", 5, "a/b"), "the record for egress a/out: .* cannot travel as a/b"),
        (lambda ctx: ctx.reply_to("x", 5), "reply_to wants what ctx.defer"),
        (lambda ctx: ctx.reply_to(proa.ReplyTo("x"), 5), "'x' is no reply address"),
        (lambda ctx: ctx.reply_to(proa.ReplyTo(INVOCATION), object()), "no JSON form"),
        (lambda ctx: ctx.reply_to(proa.ReplyTo(INVOCATION), "\ud800"), "not valid Unicode"),
    ],
)
def test_wrong_use(use: Any, text: str) -> None:
    import re

    assert re.search(text, failure_of(use))
    assert lengths(result_of(swallow(use))) == (0, 0, 0)


def test_a_returned_reject() -> None:
    """Dropped as the answer of a message nobody asked with, it would make a success of a refusal."""
    assert "returned a Reject; raise it" in failure_of(lambda ctx: proa.Reject("no", "never"))
    assert "returned a Reject; raise it" in failure_of(lambda ctx: proa.Reject("no", "never"), ASKER)


def test_defer() -> None:
    kept: list[Any] = []

    def handler(ctx: Any) -> Any:
        kept.append(ctx.defer())
        return kept[-1]

    assert lengths(result_of(handler, ASKER)) == (0, 0, 0)
    assert lengths(result_of(lambda ctx: handler(ctx) and None, ASKER)) == (0, 0, 0)
    assert kept[0] == proa.ReplyTo(INVOCATION)
    replies = result_of(lambda ctx: ctx.reply_to(kept[0], 5)).outgoing_messages
    assert replies[0].target == wire.Address(namespace="proa", type="reply", id=INVOCATION)
    handlers.clear()
    assert lengths(result_of(handler)) == (0, 0, 0)
    assert not kept[-1]
    assert lengths(result_of(lambda ctx: ctx.reply_to(kept[-1], 5))) == (0, 0, 0), "nobody asked"
    assert "deferred its answer and returned one" in failure_of(lambda ctx: (ctx.defer(), 5)[1], ASKER)


def test_answers_that_do_not_fit() -> None:
    own = proa.App()

    @own.function("a/f")
    async def function(ctx: proa.Context, message: int) -> str:
        return 5  # type: ignore[return-value]

    async def late() -> int:
        return 5

    @own.function("a/g")
    def wrapped(ctx: proa.Context, message: int) -> int:
        return late()  # type: ignore[return-value]

    assert call(own, "a/f/1", 1, caller=ASKER).result.failure.message == (
        "ValueEncodeError: the answer of function a/f: expected a str, got int"
    )
    assert (
        "function a/g is not async but its handler returned a coroutine" in call(own, "a/g/1", 1).result.failure.message
    )
    own.close()


def test_context_is_dead_after_its_handler() -> None:
    kept: list[Any] = []
    result_of(kept.append)
    ctx = kept[0]
    for use in (
        lambda: ctx.send(other, id="x", message=1),
        lambda: ctx.send_after(timedelta(1), other, id="x", message=1),
        lambda: ctx.cancel("t"),
        lambda: ctx.emit("a/out", 1),
        ctx.defer,
        lambda: ctx.reply_to(proa.ReplyTo(""), 1),
    ):
        with pytest.raises(proa.UsageError, match="the context of a/free/1 was used after its handler ended"):
            use()


def test_large_answers() -> None:
    text = "x" * 100_000
    result = result_of(lambda ctx: ctx.emit("a/out", text))
    assert len(result.outgoing_egresses[0].argument.value) > 100_000


def test_functions_without_a_message() -> None:
    own = proa.App()

    @own.function("a/f")
    async def function(ctx: proa.Context) -> str:
        return ctx.id

    assert len(call(own, "a/f/1", None, caller=ASKER).result.outgoing_messages) == 1
    assert call(own, "a/f/1", 5, caller=ASKER).result.failure.message == (
        "function a/f: expected no value, got type io.statefun.types/long"
    )


def test_reject_is_bounded() -> None:
    rejection = proa.Reject("c" * 1000, "ä" * 10_000)
    assert len(rejection.code.encode()) == 128
    assert len(rejection.message.encode()) == 999
    assert rejection.message.endswith("ä…")
    assert proa.Reject("a\x00b", "\ud800").args == ("a\x00b", "\ud800")
    assert str(proa.Reject("a\x00b", "\ud800")) == "a?b: ?"
    assert proa.Reject("").code == "rejected"
    assert str(proa.Reject("a")) == "a"
    assert str(proa.Rejected("a", "b")) == "a: b"
