# SPDX-License-Identifier: Apache-2.0
"""What a handler holds in its hands: who it is, who called, its state, and what it can do.

Everything done through a context is collected and takes effect with the host's next commit, all or nothing. A
context lives as long as the handling of its message.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, overload

from ._codec import Codec, codec_of_value, renamed
from ._model import (
    HOST_NAMESPACE,
    ID_BYTES_MAX,
    INT64_MAX,
    REPLY_TYPE,
    TOKEN_BYTES_MAX,
    Address,
    ReplyTo,
    check_text,
    split_name,
    to_milliseconds,
)
from ._state import State
from .errors import ProaError, UsageError, ValueEncodeError

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from . import _wire_pb2 as wire
    from ._function import Ref

    S = TypeVar("S", bound=State, default=State)
else:
    from typing import TypeVar

    S = TypeVar("S", bound=State)

M = TypeVar("M")
_logger = logging.getLogger("proa.function")
_HEX = frozenset("0123456789abcdef")


class _Log(logging.LoggerAdapter):  # type: ignore[type-arg]  # generic for type checkers only, in Python 3.10
    """Puts the address in front of every line, and address, message and trace into the record."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        known = self.extra or {}
        kwargs["extra"] = {**known, **(kwargs.get("extra") or {})}
        return f"{known['proa_address']}: {msg}", kwargs


class Context(Generic[S]):
    """The handling of one message."""

    __slots__ = ("_deferred", "_effects", "_invocation", "_log", "_trace_header", "address", "state")

    def __init__(
        self, address: Address, state: S, invocation: wire.ToFunction.Invocation, effects: Any, trace_header: str
    ) -> None:
        self.address = address
        """The instance that handles the message."""
        self.state = state
        """The values of this instance; what is set here is kept if the handler ends well."""
        self._invocation = invocation
        self._effects: wire.FromFunction.InvocationResponse | None = effects
        self._deferred = False
        self._log: _Log | None = None
        self._trace_header = trace_header

    @property
    def id(self) -> str:
        """The id of this instance."""
        return self.address.id

    @property
    def caller(self) -> Address | None:
        """The instance that sent the message; None if a client did."""
        caller = self._invocation.caller
        if not caller.type or (caller.namespace == HOST_NAMESPACE and caller.type == REPLY_TYPE):
            return None
        return Address(caller.namespace, caller.type, caller.id)

    @property
    def is_ask(self) -> bool:
        """True if a client waits for an answer."""
        caller = self._invocation.caller
        return caller.type == REPLY_TYPE and caller.namespace == HOST_NAMESPACE

    @property
    def message_id(self) -> str:
        """The message's number in its host, the same at every attempt; empty if the host does not say it."""
        return self._invocation.message_id

    @property
    def traceparent(self) -> str:
        """The W3C trace context of the message; empty if there is none."""
        return self._invocation.traceparent or self._trace_header

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose lines name this instance, the message and its trace."""
        if self._log is None:
            extra = {
                "proa_address": str(self.address),
                "proa_message_id": self.message_id,
                "traceparent": self.traceparent,
            }
            self._log = _Log(_logger, extra)
        return self._log

    @overload
    def send(self, to: Ref[M, Any], *, id: str, message: M) -> None: ...
    @overload
    def send(self, to: Address, *, message: object) -> None: ...
    def send(self, to: Any, *, id: str = "", message: Any) -> None:
        """Send a message to an instance of a function: `ctx.send(counter, id="bob", message=5)`.

        An `Address`, such as `ctx.caller`, may stand in place of function and id.
        """
        effects = self._open()
        outgoing = effects.outgoing_messages.add()
        try:
            _put(outgoing, to, id, message)
        except BaseException:
            del effects.outgoing_messages[-1]
            raise

    @overload
    def send_after(self, delay: timedelta, to: Ref[M, Any], *, id: str, message: M, token: str = "") -> None: ...
    @overload
    def send_after(self, delay: timedelta, to: Address, *, message: object, token: str = "") -> None: ...
    def send_after(self, delay: timedelta, to: Any, *, id: str = "", message: Any, token: str = "") -> None:
        """Send a message later. With a `token`, `ctx.cancel(token)` of this same instance takes it back until then."""
        effects = self._open()
        milliseconds = to_milliseconds(delay)
        if not 0 <= milliseconds <= INT64_MAX:
            raise UsageError(f"the delay of a message must not be negative: {delay}")
        if token:
            check_text(token, TOKEN_BYTES_MAX, "the token of a delayed message")
        outgoing = effects.delayed_invocations.add()
        try:
            _put(outgoing, to, id, message)
        except BaseException:
            del effects.delayed_invocations[-1]
            raise
        outgoing.delay_in_ms = milliseconds
        outgoing.cancellation_token = token

    def cancel(self, token: str) -> None:
        """Take back the delayed message this instance sent with `token`. Nothing happens if it has gone already."""
        effects = self._open()
        check_text(token, TOKEN_BYTES_MAX, "the token to cancel")
        outgoing = effects.delayed_invocations.add()
        outgoing.is_cancellation_request = True
        outgoing.cancellation_token = token

    def emit(self, egress: str, value: object, typename: str | None = None) -> None:
        """Put a record into an egress: `ctx.emit("example/receipts", receipt)`.

        `typename` names the record's type where it is not to go by the name of its class.
        """
        effects = self._open()
        namespace, name = split_name(egress, "the name of an egress")
        try:
            codec = codec_of_value(value)
            if typename is not None:
                codec = renamed(codec, typename, f"the record for egress {egress}")
            record = effects.outgoing_egresses.add()
            try:
                codec.put(record.argument, value)
            except BaseException:
                del effects.outgoing_egresses[-1]
                raise
        except ProaError as error:
            raise ValueEncodeError(f"the record for egress {egress}: {error}") from error
        record.egress_namespace = namespace
        record.egress_type = name

    def defer(self) -> ReplyTo[Any]:
        """Leave the answer to somebody else, and return the address where it is awaited.

        Pass it on in a message, or keep it in state; whoever holds it answers with `ctx.reply_to`. The handler then
        returns it, or nothing:

            async def order(ctx: proa.Context, message: Order) -> proa.ReplyTo[Receipt]:
                reply = ctx.defer()
                ctx.send(payment, id=message.customer, message=Charge(message.amount, reply))
                return reply
        """
        self._open()
        self._deferred = True
        return ReplyTo(self._invocation.caller.id if self.is_ask else "")

    def reply_to(self, reply: ReplyTo[M], value: M) -> None:
        """Answer an ask whose answer was deferred. The first answer counts; later ones are dropped by the host."""
        effects = self._open()
        if not isinstance(reply, ReplyTo):
            raise UsageError(f"reply_to wants what ctx.defer() gave, not {type(reply).__name__}")
        if reply:
            if len(reply.id) != 32 or not _HEX.issuperset(reply.id):
                raise UsageError(f"{reply.id!r} is no reply address; pass on what ctx.defer() gave unchanged")
            put_reply(effects, reply.id, codec_of_value(value), value)

    def _open(self) -> wire.FromFunction.InvocationResponse:
        if self._effects is None:
            raise UsageError(f"the context of {self.address} was used after its handler ended; await what it started")
        return self._effects

    def _close(self) -> None:
        self._effects = None
        self.state._close()


def put_reply(effects: wire.FromFunction.InvocationResponse, invocation: str, codec: Codec, value: Any) -> None:
    """Add the message that answers an ask."""
    outgoing = effects.outgoing_messages.add()
    try:
        codec.put(outgoing.argument, value)
    except BaseException:
        del effects.outgoing_messages[-1]
        raise
    target = outgoing.target
    target.namespace = HOST_NAMESPACE
    target.type = REPLY_TYPE
    target.id = invocation


def _put(outgoing: Any, to: Any, id: str, message: Any) -> None:
    """Fill in target and argument of an outgoing message, delayed or not."""
    target = outgoing.target
    if isinstance(to, Address):
        namespace, name, id = to  # noqa: A001
        codec = codec_of_value(message)
    else:
        try:
            namespace, name, codec = to.namespace, to.name, to.codec
        except AttributeError:
            raise UsageError(
                f"send wants a function, a proa.remote(…) or an Address to send to, not {type(to).__name__}"
            ) from None
    if type(id) is not str or not id or "\x00" in id or len(id) > ID_BYTES_MAX // 4:
        check_text(id, ID_BYTES_MAX, f"the id of {namespace}/{name}")
    try:
        codec.put(outgoing.argument, message)
        target.namespace = namespace
        target.type = name
        target.id = id
    except (ValueEncodeError, ValueError) as error:  # the latter: an id that is no Unicode
        raise ValueEncodeError(f"the message to {namespace}/{name}: {error}") from error
