# SPDX-License-Identifier: Apache-2.0
"""Pydantic models, of version 1 and 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

import proa
from proa import _wire_pb2 as wire
from proa._codec import codec_of

pydantic = pytest.importorskip("pydantic")


class Item(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    name: str
    count: int = 1


@proa.message("shop/Item")
class Named(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    name: str


@dataclass
class Box:
    item: Item


def typed(annotation: Any, value: Any) -> wire.TypedValue:
    out = wire.TypedValue()
    codec_of(annotation, "test").put(out, value)
    return out


def test_round_trip() -> None:
    for annotation, value, typename in (
        (Item, Item(name="a", count=2), "proa/json"),
        (Named, Named(name="a"), "shop/Item"),
        (Box, Box(Item(name="a")), "proa/json"),
        (list[Item], [Item(name="a")], "proa/json"),
    ):
        out = typed(annotation, value)
        assert out.typename == typename
        assert codec_of(annotation, "test").get(out) == value


def test_misfits() -> None:
    with pytest.raises(proa.ValueDecodeError, match="Item: "):
        codec_of(Item, "").get(wire.TypedValue(typename="proa/json", has_value=True, value=b"{}"))
    with pytest.raises(proa.ValueDecodeError, match="item: "):
        codec_of(Box, "").get(wire.TypedValue(typename="proa/json", has_value=True, value=b'{"item":{}}'))
    with pytest.raises(proa.ValueEncodeError, match="expected Item, got int"):
        typed(Item, 5)
    with pytest.raises(proa.ValueEncodeError, match="item: expected Item"):
        typed(Box, Box(5))  # type: ignore[arg-type]
    if pydantic.VERSION >= "2":  # version 1 writes it as an escape
        with pytest.raises(proa.ValueEncodeError, match="Named: "):
            typed(Named, Named.model_construct(name="\ud800"))
