# SPDX-License-Identifier: Apache-2.0
"""Broken calls end in an answer, never in an exception: mutations of good calls, from a fixed seed."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field

import pytest
from support import ASKER, make_call, request

import proa


@dataclass
class Item:
    name: str
    tags: list[str] = field(default_factory=list)
    size: int | None = None


class Kept(proa.State):
    total = proa.value(int, default=0)
    item = proa.value(Item)


app = proa.App()


@app.function("a/f")
async def function(ctx: proa.Context[Kept], message: Item | int | str | float | bool | None) -> Item | None:
    ctx.state.total += 1
    ctx.emit("a/out", message)
    if isinstance(message, Item):
        ctx.state.item = message
        return message
    return None


def mutate(body: bytes, dice: random.Random) -> bytes:
    data = bytearray(body)
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(data))
        kind = dice.randrange(4)
        if kind == 0:
            data[place] = dice.randrange(256)
        elif kind == 1:
            del data[place : place + dice.randint(1, 8)]
        elif kind == 2:
            data[place:place] = dice.randbytes(dice.randint(1, 8))
        else:
            data[place] ^= 1 << dice.randrange(8)
        if not data:
            break
    return bytes(data)


@pytest.mark.filterwarnings("ignore:Unexpected end-group tag:RuntimeWarning")  # from Debian's protobuf
def test_broken_calls_are_answered() -> None:
    states = {"total": 3, "item": Item("a", ["b"], 5)}
    body = make_call("a/f/1", Item("x", ["y"], 1), 5, "text", 2.5, True, None, states=states, caller=ASKER)
    dice = random.Random(7)

    async def story() -> set[int]:
        seen = set()
        for _ in range(4000):
            seen.add((await request(app, mutate(body, dice))).status)
        return seen

    logging.disable(logging.CRITICAL)
    try:
        assert asyncio.run(story()) <= {200, 400, 500}
    finally:
        logging.disable(logging.NOTSET)
