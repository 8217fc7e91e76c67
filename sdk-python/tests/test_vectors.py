# SPDX-License-Identifier: Apache-2.0
"""The golden bytes of the protocol, shared with the host's tests."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support import ASKER, call, request, run, vectors

import proa
from proa import _wire_pb2 as wire
from proa._codec import _SCALARS

SCALARS = vectors("scalars.json")
REQUESTS = vectors("requests.json")["vectors"]
ANSWERS = vectors("answers.json")["vectors"]


def by_name(found: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", found, ids=[vector["name"] for vector in found])


def python_value(vector: dict[str, Any]) -> Any:
    value = vector["value"]
    kind = vector["typename"].rpartition("/")[2]
    if kind in ("int", "long"):
        return int(value)
    return float(value) if kind in ("float", "double") else value


def same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return type(a) is type(b) and bool(a == b)


@by_name(SCALARS["vectors"])
def test_scalar(vector: dict[str, Any]) -> None:
    codec = _SCALARS[vector["typename"]]
    value, data = python_value(vector), bytes.fromhex(vector["hex"])
    assert same(codec.readers[codec.typename](data), value)
    if not (isinstance(value, float) and math.isnan(value)):
        assert codec.encode(value) == data


@by_name(SCALARS["foreign"])
def test_foreign_scalar(vector: dict[str, Any]) -> None:
    codec = _SCALARS[vector["typename"]]
    read = codec.readers[codec.typename]
    if vector["accepted"]:
        assert same(read(bytes.fromhex(vector["hex"])), python_value(vector))
    else:
        with pytest.raises(proa.ValueDecodeError):
            read(bytes.fromhex(vector["hex"]))


def meaning_of_value(value: wire.TypedValue) -> dict[str, Any]:
    return {"typename": value.typename, "has_value": value.has_value, "value": value.value.hex()}


def expected_value(value: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else {key: value[key] for key in ("typename", "has_value", "value")}


def meaning_of_address(address: wire.Address) -> dict[str, str]:
    return {"namespace": address.namespace, "type": address.type, "id": address.id}


@by_name(REQUESTS)
def test_request(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    batch = wire.ToFunction.FromString(data).invocation
    expected = vector["request"]
    assert meaning_of_address(batch.target) == expected["target"]
    assert [
        {
            "name": state.state_name,
            "value": meaning_of_value(state.state_value) if state.HasField("state_value") else None,
        }
        for state in batch.state
    ] == [{"name": state["name"], "value": expected_value(state["value"])} for state in expected["states"]]
    assert [
        {
            "caller": meaning_of_address(message.caller) if message.HasField("caller") else None,
            "value": meaning_of_value(message.argument),
            "message_id": message.message_id,
            "traceparent": message.traceparent,
        }
        for message in batch.invocations
    ] == [{**message, "value": expected_value(message["value"])} for message in expected["messages"]]


@by_name(REQUESTS)
def test_request_is_served(vector: dict[str, Any]) -> None:
    """A function that takes whatever comes sees the request as the vector says it is."""
    expected = vector["request"]
    target = expected["target"]
    seen: list[Any] = []

    async def handler(ctx: proa.Context, message: proa.RawValue) -> None:
        seen.append((ctx.address, message, ctx.message_id, ctx.traceparent, ctx.is_ask))

    app = proa.App()
    app.function(f"{target['namespace']}/{target['type']}")(handler)
    answer = run(request(app, bytes.fromhex(vector["hex"])))
    assert answer.result is not None
    address = proa.Address(target["namespace"], target["type"], target["id"])
    assert seen == [
        (
            address,
            proa.RawValue(message["value"]["typename"], bytes.fromhex(message["value"]["value"])),
            message["message_id"],
            message["traceparent"],
            bool(message["caller"] and message["caller"]["namespace"] == "proa"),
        )
        for message in expected["messages"]
    ]


def put_value(out: wire.TypedValue, value: dict[str, Any] | None) -> None:
    if value is not None:
        out.SetInParent()
        out.typename, out.has_value, out.value = value["typename"], value["has_value"], bytes.fromhex(value["value"])


def put_address(out: wire.Address, address: dict[str, str]) -> None:
    out.namespace, out.type, out.id = address["namespace"], address["type"], address["id"]


def build_answer(answer: dict[str, Any]) -> wire.FromFunction:
    built = wire.FromFunction()
    if answer["kind"] == "incomplete":
        built.incomplete_invocation_context.SetInParent()
        for missing in answer["missing"]:
            spec = built.incomplete_invocation_context.missing_values.add()
            spec.state_name, spec.type_typename = missing["name"], missing["typename"]
            spec.expiration_spec.mode = getattr(wire.FromFunction.ExpirationSpec, missing["mode"].upper())
            spec.expiration_spec.expire_after_millis = missing["expire_ms"]
            if not missing["expire_ms"]:
                spec.ClearField("expiration_spec")
        return built
    result = built.invocation_result
    result.SetInParent()
    for mutation in answer["mutations"]:
        made = result.state_mutations.add()
        made.state_name = mutation["name"]
        kinds = wire.FromFunction.PersistedValueMutation
        made.mutation_type = kinds.MODIFY if mutation["action"] == "set" else kinds.DELETE
        put_value(made.state_value, mutation["value"])
    for outgoing in answer["outgoing"]:
        message = result.outgoing_messages.add()
        put_address(message.target, outgoing["target"])
        put_value(message.argument, outgoing["value"])
    for delayed in answer["delayed"]:
        timer = result.delayed_invocations.add()
        timer.cancellation_token = delayed["token"]
        if delayed["cancel"]:
            timer.is_cancellation_request = True
        else:
            timer.delay_in_ms = delayed["delay_ms"]
            put_address(timer.target, delayed["target"])
            put_value(timer.argument, delayed["value"])
    for egress in answer["egress"]:
        record = result.outgoing_egresses.add()
        record.egress_namespace, record.egress_type = egress["namespace"], egress["type"]
        put_value(record.argument, egress["value"])
    if answer["failure"]:
        failure = answer["failure"]
        result.failure.SetInParent()
        result.failure.index, result.failure.code = failure["index"], failure["code"]
        result.failure.message, result.failure.retryable = failure["message"], failure["retryable"]
    return built


@by_name([vector for vector in ANSWERS if vector["accepted"]])
def test_answer(vector: dict[str, Any]) -> None:
    """Same meaning, whichever legal form an empty expiry or a delete has."""
    found = wire.FromFunction.FromString(bytes.fromhex(vector["hex"]))
    for spec in found.incomplete_invocation_context.missing_values:
        if not spec.expiration_spec.expire_after_millis:
            spec.ClearField("expiration_spec")
    if vector["answer"]["kind"] == "done":
        found.invocation_result.SetInParent()  # an answer without either arm says the same
    found.DiscardUnknownFields()
    for mutation in found.invocation_result.state_mutations:
        if not mutation.mutation_type:
            mutation.ClearField("state_value")
    for message in found.invocation_result.outgoing_messages:
        message.argument.SetInParent()
    expected = build_answer(vector["answer"])
    for message in expected.invocation_result.outgoing_messages:
        message.argument.SetInParent()
    assert found == expected


def hex_of(name: str) -> str:
    return next(str(vector["hex"]) for vector in ANSWERS if vector["name"] == name)


class Counter(proa.State):
    total = proa.value(int, default=0)


app = proa.App()


@app.function("example/counter", state=Counter)
async def counter(ctx: proa.Context[Counter], amount: int) -> int | None:
    if amount < 0:
        raise proa.Reject("rejected", "no such thing")
    if amount == 0:
        return None
    ctx.state.total += amount
    if not ctx.is_ask:
        ctx.send(counter, id="bob", message=1)
    return ctx.state.total


@app.function("example/timer")
async def timer(ctx: proa.Context, amount: int) -> None:
    from datetime import timedelta

    ctx.send_after(timedelta(0), counter, id="bob", message=amount, token="t")
    ctx.cancel("t")


class Python(proa.State):
    seen = proa.value(int, typename="io.statefun.types/int")
    ttl = proa.value(str, expire=proa.after_write(__import__("datetime").timedelta(seconds=2)))
    idle = proa.value(int, expire=proa.after_invoke(__import__("datetime").timedelta(minutes=1)))


@app.function("ns/fn")
async def python(ctx: proa.Context[Python], message: str) -> None:
    raise AssertionError("nothing runs before the handshake")


def test_our_answers_are_the_vectors() -> None:
    """What the SDK writes itself, byte for byte."""
    unset: dict[str, Any] = {"total": None}
    assert call(app, "example/counter/bob", 1, states=unset, caller=ASKER).body.hex() == hex_of("counter_reply")
    assert call(app, "example/counter/bob", 0, states=unset, caller=ASKER).body.hex() == hex_of("reply_no_content")
    assert call(app, "example/counter/bob", 1, -1, states=unset).body.hex() == hex_of("failure_second")
    assert call(app, "example/timer/bob", 1).body.hex() == hex_of("delayed_and_cancelled")
    assert call(app, "example/counter/bob", states=unset).body.hex() == hex_of("empty_result")


def test_handshake_is_the_vector() -> None:
    answer = call(app, "ns/fn/1", "go").message
    theirs = wire.FromFunction.FromString(bytes.fromhex(hex_of("statefun_python_incomplete")))
    theirs.incomplete_invocation_context.missing_values[0].ClearField(
        "expiration_spec"
    )  # an empty one, which says none
    assert answer == theirs
