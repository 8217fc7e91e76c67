# SPDX-License-Identifier: Apache-2.0
#
# The orders, tested without a host and without ports, in virtual time.

import asyncio
from datetime import timedelta

import orders
import pytest
from orders import Deposit, Expired, Paid, Place, Receipt, account, order

import proa
from proa.testing import Harness


async def paid() -> None:
    async with Harness(orders.app) as host:
        await host.send(account, id="ann", message=Deposit(20))
        assert await host.ask(order, id="o1", message=Place("ann", 5)) == Receipt("o1", "paid")
        assert await host.ask(order, id="o2", message=Place("ann", 50)) == Receipt("o2", "declined")
        assert host.state(account, "ann").balance == 15
        assert host.egress("example/receipts", Receipt) == [Receipt("o1", "paid"), Receipt("o2", "declined")]
        assert host.timers == []
        with pytest.raises(proa.Rejected, match="placed: order o1 was placed before"):
            await host.ask(order, id="o1", message=Place("ann", 5))
        with pytest.raises(proa.Rejected, match="invalid"):
            await host.ask(order, id="o3", message=Place("ann", 0))


async def expired() -> None:
    silent = proa.App()  # an account that never answers

    @silent.function("example/account")
    async def account(ctx: proa.Context, message: orders.Withdraw) -> None: ...

    only_orders = proa.App()
    only_orders.function("example/order")(order.handler)
    async with Harness(only_orders, silent) as host:
        assert await host.ask(order, id="o1", message=Place("ann", 5)) == Receipt("o1", "expired")
        assert host.elapsed == timedelta(seconds=20)
        await host.send(order, id="o1", message=Paid(True))
        await host.send(order, id="o1", message=Expired())
        assert host.egress("example/receipts", Receipt) == [Receipt("o1", "expired")]


def test_paid() -> None:
    asyncio.run(paid())


def test_expired() -> None:
    asyncio.run(expired())
