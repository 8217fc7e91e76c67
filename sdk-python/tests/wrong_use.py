# SPDX-License-Identifier: Apache-2.0
"""Uses that type checkers must refuse: each line marked `wrong` has to be an error, and no other line may be.

This file is never run; test_types.py gives it to mypy and pyright.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import proa
from proa.testing import Harness


@dataclass
class Add:
    amount: int


@dataclass
class Total:
    value: int


class Counter(proa.State):
    total = proa.value(int, default=0)
    name = proa.value(str)
    bad_default = proa.value(int, default="x")  # refused at import, and by checkers where it is used
    bad_expiry = proa.value(int, expire=timedelta(1))  # wrong


app = proa.App()
stock = proa.remote("shop/stock", Add, Total)
app.function("shop/x", state=int)  # wrong


@app.function("shop/counter")
async def counter(ctx: proa.Context[Counter], message: Add) -> Total:
    ctx.state.total += message.amount
    ctx.state.name.upper()  # wrong
    del ctx.state.name
    ctx.send(stock, id=ctx.id, message=Add(5))
    ctx.send(stock, id=ctx.id, message=5)  # wrong
    ctx.send(stock, id=5, message=Add(5))  # wrong
    ctx.send(stock, ctx.id, Add(5))  # wrong
    ctx.send("shop/stock", id=ctx.id, message=Add(5))  # wrong
    ctx.send_after(5, stock, id=ctx.id, message=Add(5))  # wrong
    ctx.send_after(timedelta(1), stock, id=ctx.id, message=Total(5))  # wrong
    ctx.send_after(timedelta(1), counter, id=ctx.id, message=Add(5), token="t")
    ctx.cancel(5)  # wrong
    ctx.emit(5, Add(5))  # wrong
    reply: proa.ReplyTo[Total] = ctx.defer()
    ctx.reply_to(reply, Total(5))
    ctx.reply_to(reply, 5)  # wrong
    if message.amount < 0:
        raise proa.Reject(5, "negative")  # wrong
    return Total(ctx.state.total)


@app.function("shop/deferred")
async def deferred(ctx: proa.Context, message: Add) -> proa.ReplyTo[Total]:
    return ctx.defer()


@app.function("shop/quiet")
def quiet(ctx: proa.Context[Counter], message: Add | int) -> None:
    ctx.send(quiet, id="x", message="text")  # wrong


@app.function("shop/state")
def state(ctx: proa.Context[Counter], message: int) -> None:
    ctx.state.total = "five"  # wrong
    ctx.state.totl = 5  # wrong
    ctx.state.total = None  # wrong
    ctx.state.bad_default += 1  # wrong


@app.function("shop/bare")
def bare(ctx: proa.Context) -> int:
    return 5


async def story() -> None:
    async with Harness(app) as host:
        total: Total = await host.ask(counter, id="a", message=Add(5))
        later: Total = await host.ask(deferred, id="a", message=Add(5))
        number: int = await host.ask(bare, id="a")
        await host.ask(counter, id="a", message=5)  # wrong
        await host.ask(counter, id="a")  # wrong
        text: str = await host.ask(counter, id="a", message=Add(5))  # wrong
        host.state(counter, "a").total.bit_length()
        print(host.state(counter, "a").nothing)  # wrong
        host.state(stock, "a")  # wrong
        host.sent(stock)[0].message.amount.bit_length()
        print(host.sent(stock)[0].message.value)  # wrong
        host.egress("a/b", Total)[0].value.bit_length()
        await host.advance(5)  # wrong
        print(total, later, number, text)
        await counter(None, Add(5))  # wrong
