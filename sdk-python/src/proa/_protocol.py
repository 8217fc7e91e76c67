# SPDX-License-Identifier: Apache-2.0
"""One call of the host: a ToFunction message in, a FromFunction message out.

The messages of a call are handled one after another. What each does is added to one answer; when one fails, what it
did is taken back to the mark set before it, and the answer covers the messages before it.

That is so if the host announced `partial`. To another, such as StateFun's runtime, there is no way to say it: a failed
message fails the whole call, which is repeated. But a message that its function rejects would fail at every attempt,
and that host can neither park nor skip it: it is dropped here, and those behind it are handled.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Final

from google.protobuf.message import DecodeError

from . import _wire_pb2 as wire
from ._codec import codec_of
from ._context import Context, put_reply
from ._function import Function
from ._model import HOST_NAMESPACE, REPLY_TYPE, Address, ReplyTo
from ._state import Cells, State, Value
from .errors import (
    Reject,
    RequestError,
    StateTypeError,
    UsageError,
    ValueDecodeError,
    ValueEncodeError,
    clean_text,
)

_logger = logging.getLogger("proa")
_NOTHING: Final = codec_of(None, "no content")
_MODIFY: Final = wire.FromFunction.PersistedValueMutation.MODIFY
_MODES: Final = {
    "after_write": wire.FromFunction.ExpirationSpec.AFTER_WRITE,
    "after_invoke": wire.FromFunction.ExpirationSpec.AFTER_INVOKE,
}

AnyFunction = Function[Any, Any, Any]
Functions = Mapping[tuple[str, str], AnyFunction]
OnFailure = Callable[[BaseException], None]


class _Unreadable(Reject):
    """A message whose bytes are none of what the function takes: refused, though not by the function's own word."""


class Call:
    """The handling of one batch for one instance."""

    __slots__ = (
        "address",
        "cells",
        "count",
        "effects",
        "failure",
        "function",
        "knows_partial",
        "marks",
        "trace_header",
        "view",
    )

    def __init__(
        self,
        function: AnyFunction,
        address: Address,
        cells: Cells,
        count: int,
        *,
        knows_partial: bool,
        trace_header: str,
    ) -> None:
        self.function = function
        self.address = address
        self.cells = cells
        self.count = count
        self.effects = wire.FromFunction.InvocationResponse()
        self.knows_partial = knows_partial
        self.marks = (0, 0, 0)
        self.trace_header = trace_header
        self.view: type[State] = function.state or State
        self.failure: tuple[int, Exception] | None = None

    def begin(self, index: int, invocation: wire.ToFunction.Invocation) -> Context[Any]:
        """Set the mark and make the context of one message."""
        effects = self.effects
        if index:
            self.marks = (
                len(effects.outgoing_messages),
                len(effects.delayed_invocations),
                len(effects.outgoing_egresses),
            )
        return Context(self.address, self.view._over(self.cells), invocation, effects, self.trace_header)

    def arguments(self, context: Context[Any], invocation: wire.ToFunction.Invocation) -> tuple[Any, ...]:
        """Decode the message. What cannot be read now cannot be read later either: it is refused."""
        function = self.function
        try:
            message = function.codec.get(invocation.argument)
        except ValueDecodeError as error:
            raise _Unreadable("bad_message", f"function {function.typename}: {error}") from error
        return (context, message) if function.takes_message else (context,)

    def end(self, context: Context[Any], invocation: wire.ToFunction.Invocation, result: Any) -> None:
        """Answer who asked, then keep what one message changed: a message that fails here must leave no trace."""
        caller = invocation.caller
        if isinstance(result, Reject):
            raise UsageError("the handler returned a Reject; raise it")
        if context._deferred:
            if result is not None and not isinstance(result, ReplyTo):
                raise UsageError("the handler deferred its answer and returned one as well; do one of the two")
        elif caller.type == REPLY_TYPE and caller.namespace == HOST_NAMESPACE:
            codec = _NOTHING if result is None else self.function.reply_codec
            try:
                put_reply(self.effects, caller.id, codec, result)
            except ValueEncodeError as error:
                raise ValueEncodeError(f"the answer of function {self.function.typename}: {error}") from error
        context.state._keep()

    def fail(self, index: int, error: Exception) -> bool:
        """Take back what a failed message did; return True if it is dropped, and those behind it are to be handled."""
        effects = self.effects
        del effects.outgoing_messages[self.marks[0] :]
        del effects.delayed_invocations[self.marks[1] :]
        del effects.outgoing_egresses[self.marks[2] :]
        place = (self.address, index + 1, self.count)
        if not isinstance(error, Reject):
            _logger.error("%s: message %d of %d failed", *place, exc_info=error)
        elif not self.knows_partial and not isinstance(error, _Unreadable):
            text = "%s rejects message %d of %d: %s; this host cannot park it, so it is dropped"
            _logger.error(text, *place, error)
            return True
        else:
            _logger.info("%s rejects message %d of %d: %s", *place, error)
        self.failure = (index, error)
        return False

    def finish(self) -> bytes:
        """Return the answer. RequestError if a message failed and the host cannot be told which."""
        effects = self.effects
        if self.failure is not None:
            index, error = self.failure
            code, text = describe(error)
            if not self.knows_partial:
                raise RequestError(500, f"{self.address}: message {index + 1} of {self.count} failed: {code}: {text}")
            put_failure(effects, index, code, text, not isinstance(error, Reject))
        for spec in self.cells.changed.values():
            mutation = effects.state_mutations.add()
            mutation.state_name = spec.wire_name
            data = self.cells.stored[spec.name]
            if data is not None:
                mutation.mutation_type = _MODIFY
                value = mutation.state_value
                value.typename = spec.codec.typename
                value.has_value = True
                value.value = data
        return _answer(effects)


def describe(error: Exception) -> tuple[str, str]:
    """Return the code and the text a failure carries to the host."""
    if isinstance(error, Reject):
        return error.code, error.message
    text = clean_text(f"{type(error).__name__}: {error}")
    return ("state_type" if isinstance(error, StateTypeError) else "exception"), text


def put_failure(
    effects: wire.FromFunction.InvocationResponse, index: int, code: str, text: str, retryable: bool
) -> None:
    """Say which message failed, and why."""
    failure = effects.failure
    failure.index = index
    failure.code = code
    failure.message = text
    failure.retryable = retryable
    effects.failure.SetInParent()


# Field 100 of FromFunction, length-delimited: the answer is this tag, a length and the response itself. Building it so
# spares a copy of the whole response into a FromFunction.
_RESULT_TAG: Final = b"\xa2\x06"


def _answer(effects: wire.FromFunction.InvocationResponse) -> bytes:
    data: bytes = effects.SerializeToString()
    size = len(data)
    if size < 0x80:
        return b"%b%c%b" % (_RESULT_TAG, size, data)
    head = bytearray(_RESULT_TAG)
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + data


def _read_request(body: bytes) -> wire.ToFunction.InvocationBatchRequest:
    try:
        request = wire.ToFunction.FromString(body)
    except (DecodeError, ValueError) as error:  # the latter: text that is not UTF-8, in protobuf without C code
        raise RequestError(400, f"the body is not a ToFunction message: {error}") from None
    if not request.HasField("invocation"):
        raise RequestError(400, "the ToFunction message holds no invocation")
    return request.invocation


def _unknown_function(
    batch: wire.ToFunction.InvocationBatchRequest, functions: Functions, knows_partial: bool
) -> bytes:
    served = ", ".join(sorted(function.typename for function in functions.values())) or "none"
    text = clean_text(f"function {batch.target.namespace}/{batch.target.type} is not served here; served: {served}")
    _logger.error("%s", text)
    if not knows_partial or not batch.invocations:
        raise RequestError(500, text)
    effects = wire.FromFunction.InvocationResponse()
    put_failure(effects, 0, "unknown_function", text, True)
    return _answer(effects)


def _missing_states(function: AnyFunction, names: Mapping[str, Any]) -> bytes | None:
    missing = [spec for spec in function.specs if spec.wire_name not in names]
    return _declaration(missing) if missing else None


def _changed_type(call: Call, spec: Value[Any], error: StateTypeError) -> bytes:
    """Declare a state value again that is stored with another type.

    It is the function type's fault and no message's: a Proa host blocks the type, shows both names, and tries again
    after the next deployment. Other hosts only understand a failed call.
    """
    text = f"{call.address}: {error}"
    _logger.error("%s", text)
    if not call.knows_partial:
        raise RequestError(500, text)
    return _declaration([spec])


def _declaration(missing: list[Value[Any]]) -> bytes:
    """Return the answer that tells the host of state values."""
    answer = wire.FromFunction()
    for spec in missing:
        wanted = answer.incomplete_invocation_context.missing_values.add()
        wanted.state_name = spec.wire_name
        wanted.type_typename = spec.codec.typename
        if spec.expiry is not None:
            wanted.expiration_spec.mode = _MODES[spec.expiry.mode]
            wanted.expiration_spec.expire_after_millis = spec.expiry.milliseconds
    data: bytes = answer.SerializeToString()
    return data


async def _run(call: Call, invocations: Any) -> None:
    handler = call.function.handler
    for index, invocation in enumerate(invocations):
        context = call.begin(index, invocation)
        try:
            result = await handler(*call.arguments(context, invocation))
            call.end(context, invocation, result)
        except Exception as error:
            if not call.fail(index, error):
                return
        finally:
            context._close()


def _run_in_thread(call: Call, invocations: Any) -> None:
    handler = call.function.handler
    for index, invocation in enumerate(invocations):
        context = call.begin(index, invocation)
        try:
            result = handler(*call.arguments(context, invocation))
            if inspect.iscoroutine(result):
                result.close()
                raise UsageError(
                    f"function {call.function.typename} is not async but its handler returned a coroutine, which "
                    "nobody runs; a decorator around an async def must be an async def too"
                )
            call.end(context, invocation, result)
        except Exception as error:
            if not call.fail(index, error):
                return
        finally:
            context._close()


async def handle(
    functions: Functions,
    pool: Callable[[], Executor],
    body: bytes,
    *,
    knows_partial: bool,
    trace_header: str = "",
    on_failure: OnFailure | None = None,
) -> bytes:
    """Handle one call. RequestError says with which status it is refused.

    `pool` gives the threads of functions that are not async; a batch stays in one thread, so its order is kept.
    """
    batch = _read_request(body)
    target = batch.target
    function = functions.get((target.namespace, target.type))
    if function is None:
        return _unknown_function(batch, functions, knows_partial)
    invocations = batch.invocations
    cells = Cells()
    address = Address(target.namespace, target.type, target.id)
    call = Call(function, address, cells, len(invocations), knows_partial=knows_partial, trace_header=trace_header)
    if function.specs:
        states = {state.state_name: state for state in batch.state}
        missing = _missing_states(function, states)
        if missing is not None:
            return missing
        for spec in function.specs:
            source = states[spec.wire_name].state_value
            try:
                cells.put(spec, source, source.has_value)
            except StateTypeError as error:
                return _changed_type(call, spec, error)
    if function.is_async:
        await _run(call, invocations)
    else:
        context = contextvars.copy_context()
        await asyncio.get_running_loop().run_in_executor(pool(), lambda: context.run(_run_in_thread, call, invocations))
    if call.failure is not None and on_failure is not None:
        on_failure(call.failure[1])
    return call.finish()
