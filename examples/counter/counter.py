# SPDX-License-Identifier: Apache-2.0
#
# counter.py: adds what it is sent to a total, and answers the total.

import proa

app = proa.App()


class Counter(proa.State):
    total = proa.value(int, default=0)


@app.function("example/counter")
async def counter(ctx: proa.Context[Counter], amount: int) -> int:
    ctx.state.total += amount
    return ctx.state.total
