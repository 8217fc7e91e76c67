# SPDX-License-Identifier: Apache-2.0
#
# The counter, tested without a host and without ports.

import asyncio

from counter import app, counter

from proa.testing import Harness


async def story() -> None:
    async with Harness(app) as host:
        assert await host.ask(counter, id="bob", message=5) == 5
        assert await host.ask(counter, id="bob", message=2) == 7
        assert await host.ask(counter, id="ann", message=1) == 1
        assert host.state(counter, "bob").total == 7


def test_counter() -> None:
    asyncio.run(story())
