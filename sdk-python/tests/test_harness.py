# SPDX-License-Identifier: Apache-2.0
"""The host in memory behaves as the real one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from support import run

import proa
from proa.testing import Harness, Parked, Sent, Timer

SECOND = timedelta(seconds=1)


class Log(proa.State):
    seen = proa.value(list[str], default=[])
    written = proa.value(int, expire=proa.after_write(10 * SECOND))
    invoked = proa.value(int, expire=proa.after_invoke(10 * SECOND))


@dataclass(frozen=True)
class Note:
    text: str


app = proa.App()
stock = proa.remote("shop/stock", int, int)
calls: list[list[str]] = []


@app.function("a/log")
async def log(ctx: proa.Context[Log], text: str) -> int:
    ctx.state.seen.append(text)
    command, _, rest = text.partition(" ")
    if command == "fail":
        raise RuntimeError("always")
    if command == "reject":
        raise proa.Reject("no", "never")
    if command == "write":
        ctx.state.written = ctx.state.invoked = 1
    if command == "forget":
        del ctx.state.written
    if command == "many":
        for word in rest.split():
            ctx.send(log, id="b", message=word)
    if command == "later":
        ctx.send_after(int(rest) * SECOND, log, id="b", message=f"after {rest}", token=rest)
    if command == "cancel":
        ctx.cancel(rest)
    if command == "stock":
        ctx.send(stock, id="s", message=int(rest))
    if command == "self":
        ctx.send(log, id=ctx.id, message="echo")
    return len(ctx.state.seen)


@app.function("a/defer")
async def defer(ctx: proa.Context, seconds: int) -> proa.ReplyTo[int]:
    reply = ctx.defer()
    ctx.send_after(seconds * SECOND, answer, id="x", message=reply)
    return reply


@app.function("a/answer")
def answer(ctx: proa.Context, reply: proa.ReplyTo[int]) -> None:
    ctx.reply_to(reply, 5)
    ctx.reply_to(reply, 6)  # too late


@app.function("a/bare")
async def bare(ctx: proa.Context) -> str:
    ctx.emit("a/out", ctx.id)
    ctx.emit("a/out", 5)
    ctx.emit("a/out", {"k": [1]})
    ctx.emit("a/notes", Note(ctx.id))
    ctx.emit("a/raw", proa.RawValue("x/y", b"z"))
    return ctx.id


def seen(host: Harness, id: str) -> list[str]:
    return host.state(log, id).seen


def test_state_lives_by_instance() -> None:
    async def story() -> None:
        async with Harness(app) as host:
            assert await host.ask(log, id="a", message="x") == 1
            assert await host.ask(log, id="a", message="y") == 2
            assert await host.ask(log, id="b", message="z") == 1
            assert seen(host, "a") == ["x", "y"]
            assert seen(host, "nobody") == []
            assert host.state(log, "a").written is None
            with pytest.raises(proa.UsageError, match="is used outside"):
                host.state(log, "a").written = 5

    run(story())


def test_order_and_batches() -> None:
    async def story() -> None:
        async with Harness(app) as host:
            words = [f"w{number}" for number in range(250)]
            await host.send(log, id="a", message="many " + " ".join(words))
            assert seen(host, "b") == words
            await host.send(log, id="a", message="self")
            assert seen(host, "a")[1:] == ["self", "echo"]

    run(story())


def test_time() -> None:
    async def story() -> None:
        async with Harness(app) as host:
            await host.send(log, id="a", message="later 3")
            await host.send(log, id="a", message="later 1")
            await host.send(log, id="a", message="later 2")
            target = proa.Address("a", "log", "b")
            sender = proa.Address("a", "log", "a")
            assert host.timers == [Timer(n * SECOND, target, sender, str(n)) for n in (1, 2, 3)]
            await host.send(log, id="a", message="cancel 2")
            await host.send(log, id="a", message="cancel 7")
            assert len(host.timers) == 2
            await host.advance(SECOND)
            assert seen(host, "b") == ["after 1"]
            await host.advance(10 * SECOND)
            assert seen(host, "b") == ["after 1", "after 3"]
            assert host.timers == []
            assert host.elapsed == 11 * SECOND
            await host.send(log, id="a", message="later 0")
            assert seen(host, "b")[-1] == "after 0"
            await host.send(log, id="c", message="late", delay=SECOND)
            assert seen(host, "c") == []
            await host.advance(SECOND)
            assert seen(host, "c") == ["late"]
            with pytest.raises(proa.UsageError, match="cannot go back"):
                await host.advance(-SECOND)

    run(story())


def test_token_in_use_is_parked() -> None:
    async def story() -> None:
        async with Harness(app) as host:
            await host.send(log, id="a", message="later 3")
            await host.send(log, id="a", message="later 3")
            assert host.parked == [
                Parked(proa.Address("a", "log", "b"), "a/log/a has a message with token '3' waiting already")
            ]
            await host.send(log, id="c", message="later 3")
            assert len(host.timers) == 2, "another sender has tokens of its own"
            await host.advance(3 * SECOND)
            await host.send(log, id="a", message="later 3")
            assert len(host.parked) == 1

    run(story())


def test_expiry() -> None:
    async def story() -> None:
        async with Harness(app) as host:
            await host.send(log, id="a", message="write")
            await host.advance(9 * SECOND)
            await host.send(log, id="a", message="look")
            await host.advance(SECOND)
            state = host.state(log, "a")
            assert (state.written, state.invoked) == (None, 1)
            await host.advance(8 * SECOND)
            assert host.state(log, "a").invoked == 1
            await host.advance(SECOND)
            assert host.state(log, "a").invoked is None
            await host.send(log, id="a", message="look")
            assert seen(host, "a") == ["write", "look", "look"]

    run(story())


def test_deletion() -> None:
    async def story() -> None:
        async with Harness(app) as host:
            await host.send(log, id="a", message="write")
            await host.send(log, id="a", message="forget")
            assert host.state(log, "a").written is None
            await host.send(log, id="a", message="forget")

    run(story())


def test_an_answer_and_then_a_failure() -> None:
    """An ask that is answered is not touched by what happens to its message afterwards."""
    own = proa.App()
    back = proa.remote("a/answer", proa.ReplyTo[int])

    @own.function("a/f")
    async def function(ctx: proa.Context, number: int) -> proa.ReplyTo[int]:
        reply = ctx.defer()
        ctx.send(function, id="b", message=number) if number else ctx.send(back, id="x", message=reply)
        return reply

    async def story() -> None:
        async with Harness(own, app) as host:
            assert await host.ask(function, id="a", message=0) == 5
            assert host.parked == []

    run(story())


def test_rejection() -> None:
    async def story() -> None:
        async with Harness(app) as host:
            with pytest.raises(proa.Rejected, match="no: never") as caught:
                await host.ask(log, id="a", message="reject")
            assert (caught.value.code, caught.value.message) == ("no", "never")
            assert seen(host, "a") == [], "what the handler did is taken back"
            await host.send(log, id="a", message="many x reject y fail z reject")
            assert seen(host, "b") == ["x", "y"]

    with pytest.raises(proa.FunctionFailed):
        run(story())


def test_failures() -> None:
    async def story() -> None:
        async with Harness(app, attempts=4) as host:
            with pytest.raises(proa.FunctionFailed, match="a/log/a failed 4 times: RuntimeError: always") as caught:
                await host.ask(log, id="a", message="fail")
            assert isinstance(caught.value.__cause__, RuntimeError)
            with pytest.raises(proa.FunctionFailed):
                await host.send(log, id="a", message="many x fail y")
            assert seen(host, "b") == ["x", "y"], "a failing message does not hold up the line for ever"
            assert [parked.to.id for parked in host.parked] == ["a", "b"]
        async with Harness(app, attempts=1) as host:
            with pytest.raises(proa.FunctionFailed, match="a/log/a failed once: RuntimeError: always"):
                await host.ask(log, id="a", message="fail")

    run(story())


def test_an_attempt_that_ends_well() -> None:
    own = proa.App()
    attempts = [0]

    @own.function("a/f")
    async def flaky(ctx: proa.Context, text: str) -> int:
        attempts[0] += 1
        if attempts[0] < 3:
            raise RuntimeError
        return attempts[0]

    async def story() -> None:
        async with Harness(own) as host:
            assert await host.ask(flaky, id="a", message="x") == 3
            assert host.parked == []

    run(story())


def test_deferred_answers() -> None:
    async def story() -> None:
        async with Harness(app) as host:
            assert await host.ask(defer, id="a", message=2) == 5
            assert host.elapsed == 2 * SECOND, "the clock went on to what was waited for"
            with pytest.raises(proa.NoReply, match="a/defer/a did not answer within 0:00:30; 1 delayed messages wait"):
                await host.ask(defer, id="a", message=60)
            assert host.elapsed == 32 * SECOND
            await host.advance(timedelta(minutes=1))
            with pytest.raises(proa.NoReply):
                await host.ask(stock, id="a", message=60, timeout=SECOND)

    run(story())


def test_other_programs() -> None:
    async def story() -> None:
        async with Harness(app) as host:
            await host.send(log, id="a", message="stock 7")
            assert host.sent(stock) == [Sent("s", 7)]
            assert host.sent(proa.remote("shop/none", int)) == []
            with pytest.raises(proa.UsageError, match="name the function to call"):
                await host.send("a/log", id="a", message="x")  # type: ignore[call-overload]
            with pytest.raises(proa.UsageError, match="must not be empty"):
                await host.send(log, id="", message="x")
            with pytest.raises(proa.ValueEncodeError, match="the message to a/log: expected a str, got int"):
                await host.send(log, id="a", message=5)  # type: ignore[misc]

    run(story())


def test_egress() -> None:
    async def story() -> None:
        async with Harness(app) as host:
            assert await host.ask(bare, id="x") == "x"
            assert host.egress("a/out") == ["x", 5, {"k": [1]}]
            assert host.egress("a/notes") == [{"text": "x"}]
            assert host.egress("a/notes", Note) == [Note("x")]
            assert host.egress("a/none") == []
            with pytest.raises(proa.UsageError, match="the record is of type x/y; name the class"):
                host.egress("a/raw")
            assert host.egress("a/raw", proa.RawValue) == [proa.RawValue("x/y", b"z")]
            with pytest.raises(proa.UsageError, match="has no state"):
                host.state(bare, "x")

    run(story())


def test_no_content() -> None:
    own = proa.App()

    @own.function("a/f")
    async def nothing(ctx: proa.Context, text: str) -> None: ...

    async def story() -> Any:
        async with Harness(own) as host:
            return await host.ask(nothing, id="a", message="x")

    assert run(story()) is None


def test_asks_side_by_side() -> None:
    async def story() -> None:
        async with Harness(app) as host:
            answers = await asyncio.gather(*[host.ask(log, id="a", message=str(number)) for number in range(20)])
            assert sorted(answers) == list(range(1, 21))

    run(story())


def test_ask_to_a_function_of_another_app() -> None:
    async def story() -> None:
        async with Harness(proa.App()) as host:
            with pytest.raises(proa.NoReply, match=r"a/b is not in this Harness, .*; there are: none"):
                await host.ask(proa.remote("a/b", int, int), id="a", message=1)

    run(story())


def test_wrong_harness() -> None:
    with pytest.raises(proa.UsageError, match="needs the app"):
        Harness()
    with pytest.raises(proa.UsageError, match="served by two of the apps"):
        Harness(app, app)
