# SPDX-License-Identifier: Apache-2.0
"""A function for each thing a function can do; the end-to-end tests call them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import proa

app = proa.App()


class Total(proa.State):
    """What a counter keeps."""

    total = proa.value(int, default=0)


class ShortLived(proa.State):
    """One value for each way to vanish."""

    written = proa.value(int, default=0, expire=proa.after_write(timedelta(milliseconds=300)))
    invoked = proa.value(int, default=0, expire=proa.after_invoke(timedelta(milliseconds=300)))


@dataclass
class Seen:
    """What a function sees of a message."""

    id: str
    caller: str
    message_id: str
    traceparent: str
    typename: str
    size: int


@dataclass
class Link:
    """A piece of a chain: how many more hops, and where the answer is awaited."""

    hops: int
    reply: proa.ReplyTo[int] | None = None


@dataclass
class Forward:
    """Amounts for other counters, sent at once or later."""

    ids: list[str]
    amount: int = 1
    delay_ms: int = 0
    token: str = ""
    cancel: str = ""


@app.function("zoo/counter")
async def counter(ctx: proa.Context[Total], amount: int) -> int:
    """Adds up."""
    ctx.state.total += amount
    return ctx.state.total


@app.function("zoo/echo")
async def echo(ctx: proa.Context, value: proa.RawValue) -> proa.RawValue:
    """Answers with what came."""
    return value


@app.function("zoo/see")
async def see(ctx: proa.Context, value: proa.RawValue) -> Seen:
    """Says what it sees."""
    return Seen(ctx.id, str(ctx.caller or ""), ctx.message_id, ctx.traceparent, value.typename, len(value.data))


@app.function("zoo/nothing")
async def nothing(ctx: proa.Context, value: proa.RawValue) -> None:
    """Answers nothing."""


@app.function("zoo/picky")
async def picky(ctx: proa.Context[Total], amount: int) -> int:
    """Refuses what is negative; its state shows that nothing of a refused message stays."""
    ctx.state.total += amount
    if amount < 0:
        raise proa.Reject("negative", "the amount must not be negative")
    return ctx.state.total


@app.function("zoo/broken")
async def broken(ctx: proa.Context[Total], amount: int) -> int:
    """Fails at 13."""
    ctx.state.total += amount
    if amount == 13:
        raise RuntimeError("it cannot stand thirteen")
    return ctx.state.total


@app.function("zoo/large")
async def large(ctx: proa.Context, size: int) -> str:
    """Answers with a long text."""
    return "x" * size


@app.function("zoo/short_lived")
async def short_lived(ctx: proa.Context[ShortLived], amount: int) -> list[int]:
    """Sets both values, or only looks at them if the amount is 0."""
    if amount:
        ctx.state.written = amount
        ctx.state.invoked = amount
    return [ctx.state.written, ctx.state.invoked]


@app.function("zoo/chain")
async def chain(ctx: proa.Context[Total], link: Link) -> proa.ReplyTo[int] | None:
    """Passes the ask on, hop by hop; the last one answers how many hops it made."""
    ctx.state.total += 1
    reply = link.reply or ctx.defer()
    if link.hops == 0:
        ctx.reply_to(reply, ctx.state.total)
    else:
        ctx.send(chain, id=f"{ctx.id}-{link.hops}", message=Link(link.hops - 1, reply))
    return None


@app.function("zoo/forward")
async def forward(ctx: proa.Context, order: Forward) -> int:
    """Sends to counters, delayed and cancelled as ordered."""
    if order.cancel:
        ctx.cancel(order.cancel)
    for target in order.ids:
        if order.delay_ms:
            delay = timedelta(milliseconds=order.delay_ms)
            ctx.send_after(delay, counter, id=target, message=order.amount, token=order.token)
        else:
            ctx.send(counter, id=target, message=order.amount)
    return len(order.ids)


@app.function("zoo/emit")
async def emit(ctx: proa.Context, count: int) -> int:
    """Puts records into the egress."""
    for number in range(count):
        ctx.emit("zoo/records", f"{ctx.id}:{number}")
    return count


@app.function("zoo/lost")
async def lost(ctx: proa.Context[Total], amount: int) -> int:
    """Sends to a function nobody serves; the rest of its result holds."""
    ctx.state.total += amount
    ctx.send(proa.remote("nowhere/nobody", int), id=ctx.id, message=amount)
    return ctx.state.total


class Kept(proa.State):
    """A value of any size."""

    text = proa.value(str, default="")


@app.function("zoo/keep")
async def keep(ctx: proa.Context[Kept], text: str) -> int:
    """Keeps a text and answers with the length of the one before."""
    before = len(ctx.state.text)
    ctx.state.text = text
    return before
