# SPDX-License-Identifier: Apache-2.0
"""An order is paid from an account; a receipt goes out; what is not paid in time expires.

    curl localhost:8090/v1/send/example/account/ann --json '{"amount": 20}'
    curl localhost:8090/v1/ask/example/order/o1 --json '{"customer": "ann", "amount": 5}'

The order does not answer its client itself: it defers the answer, asks the account for the money, and answers when the
account has said yes or no, or when it has waited too long.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import proa

app = proa.App()


@dataclass(frozen=True)
class Place:  # comes from clients, as plain JSON
    customer: str
    amount: int


@proa.message("example/Paid")
@dataclass(frozen=True)
class Paid:
    is_enough: bool


@proa.message("example/Expired")
@dataclass(frozen=True)
class Expired:
    pass


@dataclass(frozen=True)
class Deposit:  # comes from clients, as plain JSON
    amount: int


@proa.message("example/Withdraw")
@dataclass(frozen=True)
class Withdraw:
    order: str
    amount: int


@dataclass(frozen=True)
class Receipt:
    order: str
    outcome: Literal["paid", "declined", "expired"]


class Order(proa.State):
    amount = proa.value(int)
    reply = proa.value(proa.ReplyTo[Receipt])


class Account(proa.State):
    balance = proa.value(int, default=0, expire=proa.after_write(timedelta(days=365)))


@app.function("example/order")
async def order(ctx: proa.Context[Order], message: Place | Paid | Expired) -> proa.ReplyTo[Receipt] | None:
    match message:
        case Place(customer, amount):
            if amount <= 0:
                raise proa.Reject("invalid", "the amount must be positive")
            if ctx.state.amount is not None:
                raise proa.Reject("placed", f"order {ctx.id} was placed before")
            ctx.state.amount = amount
            ctx.state.reply = ctx.defer()
            ctx.send(account, id=customer, message=Withdraw(ctx.id, amount))
            ctx.send_after(timedelta(seconds=20), order, id=ctx.id, message=Expired(), token="expiry")
            return ctx.state.reply
        case Paid(is_enough):
            ctx.cancel("expiry")
            finish(ctx, Receipt(ctx.id, "paid" if is_enough else "declined"))
        case Expired():
            finish(ctx, Receipt(ctx.id, "expired"))
    return None


def finish(ctx: proa.Context[Order], receipt: Receipt) -> None:
    if ctx.state.reply is None:
        ctx.log.info("is finished already, %s comes too late", receipt.outcome)
        return
    ctx.emit("example/receipts", receipt)
    ctx.reply_to(ctx.state.reply, receipt)
    del ctx.state.reply


@app.function("example/account")
async def account(ctx: proa.Context[Account], message: Deposit | Withdraw) -> int:
    match message:
        case Deposit(amount):
            ctx.state.balance += amount
        case Withdraw(order_id, amount):
            is_enough = ctx.state.balance >= amount
            if is_enough:
                ctx.state.balance -= amount
            ctx.send(order, id=order_id, message=Paid(is_enough))
    return ctx.state.balance
