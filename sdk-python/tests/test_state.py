# SPDX-License-Identifier: Apache-2.0
"""State: reading, writing, clearing, changing in place, rolling back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from support import call, make_call, request, run

import proa
from proa import _wire_pb2 as wire


@dataclass
class Cart:
    items: list[str] = field(default_factory=list)


class Base(proa.State):
    count = proa.value(int, default=0, name="c")


class Everything(Base):
    name = proa.value(str)
    cart = proa.value(Cart, default=Cart())
    tags = proa.value(list[str])
    small = proa.value(int, default=1, typename="io.statefun.types/int")
    gone = proa.value(int, expire=proa.after_write(timedelta(seconds=1)))


NAMES = ("c", "name", "cart", "tags", "small", "gone")
steps: list[Any] = []
app = proa.App()


@app.function("a/f", state=Everything)
async def function(ctx: proa.Context[Everything], step: int) -> None:
    steps[step](ctx)


def mutations(*todo: Any, **states: Any) -> dict[str, Any]:
    """Run handlers one after another on one instance and return what changed."""
    steps[:] = todo
    answer = call(app, "a/f/1", *range(len(todo)), states={**dict.fromkeys(NAMES), **states})
    result = answer.result
    assert not result.HasField("failure"), result.failure
    return {
        mutation.state_name: mutation.state_value.value if mutation.mutation_type else None
        for mutation in result.state_mutations
    }


def failure(*todo: Any, **states: Any) -> str:
    steps[:] = todo
    answer = call(app, "a/f/1", *range(len(todo)), states={**dict.fromkeys(NAMES), **states})
    return answer.result.failure.message


def test_values_and_defaults() -> None:
    def look(ctx: Any) -> None:
        state = ctx.state
        assert (state.count, state.name, state.cart, state.tags, state.small) == (0, None, Cart(), None, 1)

    assert mutations(look) == {}
    assert mutations(lambda ctx: setattr(ctx.state, "count", 0)) == {"c": b""}
    assert mutations(lambda ctx: setattr(ctx.state, "small", 5)) == {"small": b"\x0d\x05\x00\x00\x00"}
    assert isinstance(Everything.count, proa.Value)


def test_clearing() -> None:
    def clear(ctx: Any) -> None:
        assert ctx.state.count == 5
        del ctx.state.count
        assert ctx.state.count == 0

    assert mutations(clear, c=5) == {"c": None}
    assert mutations(lambda ctx: delattr(ctx.state, "count")) == {}, "it was unset already"
    assert mutations(lambda ctx: setattr(ctx.state, "name", None), name="x") == {"name": None}, "None is unset"
    assert mutations(lambda ctx: delattr(ctx.state, "count"), lambda ctx: setattr(ctx.state, "count", 1), c=5) == {
        "c": b"\x09\x01" + bytes(7)
    }


def test_changes_in_place_are_kept() -> None:
    assert mutations(lambda ctx: ctx.state.cart.items.append("a")) == {"cart": b'{"items":["a"]}'}
    assert mutations(lambda ctx: ctx.state.cart.items.append("b"), cart=Cart(["a"])) == {"cart": b'{"items":["a","b"]}'}
    assert mutations(lambda ctx: ctx.state.cart, cart=Cart(["a"])) == {}, "reading is no change"

    def clear_and_fill(ctx: Any) -> None:
        del ctx.state.cart
        ctx.state.cart.items.append("c")

    def clear_and_look(ctx: Any) -> None:
        del ctx.state.cart
        assert ctx.state.cart == Cart()

    def assign_after_reading(ctx: Any) -> None:
        ctx.state.cart.items.append("lost")
        ctx.state.cart = Cart(["d"])

    assert mutations(assign_after_reading) == {"cart": b'{"items":["d"]}'}
    assert mutations(clear_and_fill, cart=Cart(["a"])) == {"cart": b'{"items":["c"]}'}
    assert mutations(clear_and_look, cart=Cart(["a"])) == {"cart": None}
    assert mutations(clear_and_look) == {}
    assert Cart() == Everything.cart.default, "the default is never shared"

    def assign_and_change(ctx: Any) -> None:
        tags: list[str] = []
        ctx.state.tags = tags
        tags.append("late")

    assert mutations(assign_and_change) == {"tags": b'["late"]'}


def test_bytes_of_another_writer_are_no_change() -> None:
    """A value that is written differently, but means the same, was not changed by looking at it."""
    steps[:] = [lambda ctx: ctx.state.cart]
    body = wire.ToFunction.FromString(make_call("a/f/1", 0, states={**dict.fromkeys(NAMES), "cart": Cart(["a"])}))
    for state in body.invocation.state:
        if state.state_name == "cart":
            state.state_value.value = b'{ "items" : [ "a" ] }'
    assert not run(request(app, body.SerializeToString())).result.state_mutations


def test_messages_of_a_batch_see_each_other() -> None:
    def add(ctx: Any) -> None:
        ctx.state.count += 1
        ctx.state.cart.items.append("x")

    assert mutations(add, add, add) == {"c": b"\x09\x03" + bytes(7), "cart": b'{"items":["x","x","x"]}'}


def test_wrong_values() -> None:
    assert "state value 'count': expected an int, got str" in failure(lambda ctx: setattr(ctx.state, "count", "x"))
    assert "has a default and cannot be None; write `del ctx.state.count`" in failure(
        lambda ctx: setattr(ctx.state, "count", None)
    )
    assert "AttributeError" in failure(lambda ctx: setattr(ctx.state, "cuont", 5))
    assert "state value 'cart' cannot be read" in failure(lambda ctx: ctx.state.cart, cart={"items": 5})


def test_a_changed_type_is_declared_again() -> None:
    """So that a Proa host blocks the function type; no message is to blame."""
    states = {**dict.fromkeys(NAMES), "c": "x"}
    missing = call(app, "a/f/1", 0, states=states).message.incomplete_invocation_context.missing_values
    assert [(spec.state_name, spec.type_typename) for spec in missing] == [("c", "io.statefun.types/long")]
    answer = call(app, "a/f/1", 0, states=states, partial=False)
    assert answer.status == 500
    assert answer.text.startswith(
        "a/f/1: state value 'c' is stored as io.statefun.types/string but declared as io.statefun.types/long; declare"
    )


def test_an_unreadable_value_has_its_own_code() -> None:
    steps[:] = [lambda ctx: ctx.state.cart]
    answer = call(app, "a/f/1", 0, states={**dict.fromkeys(NAMES), "cart": {"items": 5}})
    assert (answer.result.failure.code, answer.result.failure.retryable) == ("state_type", True)


def test_outside_the_handler() -> None:
    kept: list[Any] = []
    mutations(kept.append)
    state = kept[0].state
    for use in (
        lambda: state.count,
        lambda: setattr(state, "count", 1),
        lambda: delattr(state, "count"),
    ):
        with pytest.raises(proa.UsageError, match="is used outside the handler"):
            use()
    state._keep()
    with pytest.raises(proa.UsageError, match="a State is not made by hand"):
        Everything()


def test_handshake_names_what_is_missing() -> None:
    answer = call(app, "a/f/1", 0, states={"c": None, "stale": 5})
    missing = answer.message.incomplete_invocation_context.missing_values
    assert [(spec.state_name, spec.type_typename) for spec in missing] == [
        ("name", "io.statefun.types/string"),
        ("cart", "proa/json"),
        ("tags", "proa/json"),
        ("small", "io.statefun.types/int"),
        ("gone", "io.statefun.types/long"),
    ]
    assert missing[0].HasField("expiration_spec") is False
    assert missing[4].expiration_spec.expire_after_millis == 1000
