# SPDX-License-Identifier: Apache-2.0
"""What tests of scripted functions are written with: answers made of their parts, what calls bring, typed sends."""

from __future__ import annotations

from proa import _wire_pb2 as wire

from .function import Call, Reply
from .host import Host

TYPE = "test/value"
Spec = tuple[str, str, int, int]  # name, typename, expiry mode, milliseconds


def spec(name: str, typename: str = TYPE, mode: int = 0, expire_ms: int = 0) -> Spec:
    """The declaration of one state value."""
    return name, typename, mode, expire_ms


class Result:
    """An InvocationResponse that grows; `reply` makes it an answer."""

    def __init__(self) -> None:
        self.message = wire.FromFunction()
        self.message.invocation_result.SetInParent()

    @property
    def done(self) -> wire.FromFunction.InvocationResponse:
        """What has been put together so far."""
        return self.message.invocation_result

    @property
    def reply(self) -> Reply:
        """The answer."""
        return Reply(self.message)

    def send(self, to: str, value: bytes = b"", typename: str = TYPE) -> Result:
        """A message to an address, `namespace/name/id`."""
        outgoing = self.done.outgoing_messages.add()
        _fill(outgoing.target, to)
        _set(outgoing.argument, typename, value)
        return self

    def answer(self, call: Call, value: bytes = b"", typename: str = TYPE) -> Result:
        """A message to whoever sent the first message of the call."""
        caller = call.batch.invocations[0].caller
        return self.send(f"{caller.namespace}/{caller.type}/{caller.id}", value, typename)

    def delay(self, to: str, delay_ms: int, value: bytes = b"", token: str = "") -> Result:
        """A delayed message."""
        delayed = self.done.delayed_invocations.add(delay_in_ms=delay_ms, cancellation_token=token.encode())
        _fill(delayed.target, to)
        _set(delayed.argument, TYPE, value)
        return self

    def cancel(self, token: str) -> Result:
        """Cancels a delayed message."""
        self.done.delayed_invocations.add(is_cancellation_request=True, cancellation_token=token.encode())
        return self

    def emit(self, egress: str, value: bytes = b"", typename: str = TYPE) -> Result:
        """An egress record."""
        space, name = egress.split("/")
        record = self.done.outgoing_egresses.add(egress_namespace=space, egress_type=name)
        _set(record.argument, typename, value)
        return self

    def set(self, state: str, value: bytes, typename: str = TYPE) -> Result:
        """Writes a state value."""
        mutation = self.done.state_mutations.add(state_name=state.encode(), mutation_type=1)
        _set(mutation.state_value, typename, value)
        return self

    def delete(self, state: str) -> Result:
        """Clears a state value."""
        self.done.state_mutations.add(state_name=state.encode())
        return self


def incomplete(*specs: Spec) -> Reply:
    """The answer that declares state values."""
    result = wire.FromFunction()
    for name, typename, mode, expire_ms in specs:
        missing = result.incomplete_invocation_context.missing_values.add(state_name=name, type_typename=typename)
        missing.expiration_spec.mode = mode
        missing.expiration_spec.expire_after_millis = expire_ms
    return Reply(result)


def missing(call: Call, *specs: Spec) -> list[Spec]:
    """Those of the values a function has declared that a call does not bring."""
    brought = {state.state_name for state in call.batch.state}
    return [each for each in specs if each[0] not in brought]


def states(call: Call) -> dict[str, bytes | None]:
    """The state values a call brings; None: known and not set."""
    return {
        state.state_name: state.state_value.value if state.HasField("state_value") else None
        for state in call.batch.state
    }


def address(call: Call) -> str:
    """Whom a call is for."""
    target = call.batch.target
    return f"{target.namespace}/{target.type}/{target.id}"


def sequence(function_calls: list[Call], to: str) -> list[bytes]:
    """All messages one address was called with, in order, those of repeated calls too."""
    return [value for call in function_calls if address(call) == to for value in call.values]


def put(host: Host, to: str, *values: bytes, typename: str = TYPE) -> None:
    """Sends messages, each of which must be accepted."""
    for value in values:
        answer = host.send(to, body=value, headers={"Proa-Type": typename})
        assert answer.status == 202, answer


def _fill(target: wire.Address, text: str) -> None:
    target.namespace, target.type, target.id = text.split("/", 2)


def _set(value: wire.TypedValue, typename: str, data: bytes) -> None:
    value.typename, value.has_value, value.value = typename, True, data
