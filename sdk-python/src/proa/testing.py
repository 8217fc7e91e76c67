# SPDX-License-Identifier: Apache-2.0
"""A host in memory, for tests: no ports, no containers, a clock that moves only when told to.

    async with Harness(app) as host:
        assert await host.ask(counter, id="bob", message=5) == 5
        await host.advance(timedelta(days=31))

Calls pass through the same bytes as with the real host, the state handshake among them. Each method returns when
everything it set off has been done, but for delayed messages that are not due. Functions this program does not serve
may be sent to; `Harness.sent` shows what they would have got.
"""

from __future__ import annotations

import heapq
from asyncio import Lock
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar, overload

from . import _protocol
from . import _wire_pb2 as wire
from ._app import App
from ._codec import JSON, codec_of
from ._function import Function, Ref
from ._model import HOST_NAMESPACE, ID_BYTES_MAX, REPLY_TYPE, Address, check_text, split_name, to_milliseconds
from ._state import Cells, State
from .errors import FunctionFailed, NoReply, Rejected, UsageError, ValueEncodeError

S = TypeVar("S", bound=State)
M = TypeVar("M")
A = TypeVar("A")

BATCH_MAX = 100
_AFTER_WRITE = wire.FromFunction.ExpirationSpec.AFTER_WRITE
_AFTER_INVOKE = wire.FromFunction.ExpirationSpec.AFTER_INVOKE
_MODIFY = wire.FromFunction.PersistedValueMutation.MODIFY
_NO_MESSAGE: Any = None


@dataclass(frozen=True)
class Sent(Generic[M]):
    """A message to a function that the tested program does not serve."""

    id: str
    message: M


class Timer(NamedTuple):
    """A delayed message that is not due yet."""

    due_in: timedelta
    to: Address
    sender: Address | None
    token: str


class Parked(NamedTuple):
    """A message that was taken out of its line: refused, failing, or impossible to deliver."""

    to: Address
    reason: str


@dataclass
class _Message:
    """A message in a mailbox."""

    number: int
    caller: Address | None
    argument: wire.TypedValue
    attempts: int = 0


@dataclass
class _Stored:
    """A state value, and when it vanishes."""

    value: wire.TypedValue
    due_ms: int | None


@dataclass
class _Instance:
    """One address: its mailbox and its state."""

    mailbox: deque[_Message] = field(default_factory=deque)
    states: dict[str, _Stored] = field(default_factory=dict)
    is_alone_next: bool = False  # the next batch has one message, to find the one that fails


@dataclass
class _Timer:
    """A delayed message on the clock."""

    due_ms: int
    to: Address
    sender: Address | None
    argument: wire.TypedValue
    token: str
    is_cancelled: bool = False


@dataclass
class _Ask:
    """A client that waits."""

    value: wire.TypedValue | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.value is not None or self.error is not None


class Harness:
    """Runs the functions of one or more apps as the host does."""

    def __init__(self, *apps: App, attempts: int = 3) -> None:
        """Make a host for `apps`.

        A message whose handler raises is tried `attempts` times, then taken out of its line, and the test gets
        `FunctionFailed` with the handler's exception as its cause.
        """
        if not apps:
            raise UsageError("a Harness needs the app it is to run: Harness(app)")
        self._apps = apps
        self._attempts = attempts
        self._functions: dict[tuple[str, str], Function[Any, Any, Any]] = {}
        for app in apps:
            for function in app.functions:
                if (function.namespace, function.name) in self._functions:
                    raise UsageError(f"function {function.typename} is served by two of the apps")
                self._functions[function.namespace, function.name] = function
        self._app_of = {id(function): app for app in apps for function in app.functions}
        self._instances: dict[Address, _Instance] = {}
        self._specs: dict[tuple[str, str], dict[str, wire.FromFunction.PersistedValueSpec]] = {}
        self._ready: deque[Address] = deque()
        self._timers: list[tuple[int, int, _Timer]] = []
        self._tokens: dict[tuple[Address | None, str], _Timer] = {}
        self._asks: dict[str, _Ask] = {}
        self._egress: dict[str, list[wire.TypedValue]] = {}
        self._sent: dict[tuple[str, str], list[tuple[str, wire.TypedValue]]] = {}
        self._parked: list[Parked] = []
        self._failures: list[FunctionFailed] = []
        self._now_ms = 0
        self._number = 0
        self._lock = Lock()

    async def __aenter__(self) -> Harness:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for app in self._apps:
            app.close()

    # What a client does.

    @overload
    async def ask(self, to: Ref[None, A], *, id: str, timeout: timedelta = ...) -> A: ...
    @overload
    async def ask(self, to: Ref[M, A], *, id: str, message: M, timeout: timedelta = ...) -> A: ...
    async def ask(
        self,
        to: Ref[Any, Any],
        *,
        id: str,
        message: Any = _NO_MESSAGE,
        timeout: timedelta = timedelta(seconds=30),
    ) -> Any:
        """Send a message and return its answer.

        If the answer depends on delayed messages, the clock moves on to them, as far as `timeout`. Raises `Rejected`
        if the function refuses, `NoReply` if nobody answered in time.
        """
        deadline_ms = self._now_ms + to_milliseconds(timeout)
        ask = _Ask()
        invocation = f"{self._next_number():032x}"
        self._asks[invocation] = ask
        self._enqueue(*self._message(to, id, message, Address(HOST_NAMESPACE, REPLY_TYPE, invocation)))
        try:
            await self._settle()
            while not ask.is_done:
                due_ms = self._next_due_ms()
                if due_ms is None or due_ms > deadline_ms:
                    self._now_ms = deadline_ms
                    raise NoReply(self._why_no_reply(to, id, timeout))
                self._now_ms = due_ms
                await self._settle()
        finally:
            del self._asks[invocation]
        if ask.error is not None:
            raise ask.error
        return None if ask.value is None or not ask.value.has_value else to.reply_codec.get(ask.value)

    @overload
    async def send(self, to: Ref[None, Any], *, id: str, delay: timedelta = ...) -> None: ...
    @overload
    async def send(self, to: Ref[M, Any], *, id: str, message: M, delay: timedelta = ...) -> None: ...
    async def send(
        self,
        to: Ref[Any, Any],
        *,
        id: str,
        message: Any = _NO_MESSAGE,
        delay: timedelta = timedelta(0),
    ) -> None:
        """Send a message that nobody waits for."""
        address, waiting = self._message(to, id, message, None)
        delay_ms = to_milliseconds(delay)
        if delay_ms:
            self._push_timer(_Timer(self._now_ms + delay_ms, address, None, waiting.argument, ""))
        else:
            self._enqueue(address, waiting)
        await self._settle()

    async def advance(self, delay: timedelta) -> None:
        """Move the clock; what falls due on the way happens, in order."""
        target_ms = self._now_ms + to_milliseconds(delay)
        if target_ms < self._now_ms:
            raise UsageError(f"the clock cannot go back: {delay}")
        while True:
            await self._settle()
            due_ms = self._next_due_ms()
            if due_ms is None or due_ms > target_ms:
                break
            self._now_ms = due_ms
        self._now_ms = target_ms

    # What a test looks at.

    def state(self, function: Function[S, Any, Any], id: str) -> S:
        """Return the state of an instance, to be read."""
        if function.state is None:
            raise UsageError(f"function {function.typename} has no state")
        cells = Cells()
        instance = self._instances.get(Address(function.namespace, function.name, id), _Instance())
        for spec in function.specs:
            stored = self._unexpired(instance, spec.wire_name)
            cells.put(spec, stored.value if stored else wire.TypedValue(), stored is not None)
        return function.state._frozen(cells)

    @overload
    def egress(self, name: str) -> list[Any]: ...
    @overload
    def egress(self, name: str, type: type[A]) -> list[A]: ...
    def egress(self, name: str, type: Any = Any) -> list[Any]:
        """Return the records of an egress, read as `type`; without one, as the JSON or scalar they are."""
        split_name(name, "the name of an egress")
        return [self._decode(record, type) for record in self._egress.get(name, ())]

    def sent(self, to: Ref[M, Any]) -> list[Sent[M]]:
        """Return the messages to a function that the tested apps do not serve."""
        messages = self._sent.get((to.namespace, to.name), ())
        return [Sent(id, to.codec.get(argument)) for id, argument in messages]  # noqa: A001

    @property
    def timers(self) -> list[Timer]:
        """The delayed messages that wait, the next one first."""
        return [
            Timer(timedelta(milliseconds=due_ms - self._now_ms), timer.to, timer.sender, timer.token)
            for due_ms, _, timer in sorted(self._timers, key=lambda entry: entry[:2])
            if not timer.is_cancelled
        ]

    @property
    def parked(self) -> list[Parked]:
        """The messages that were taken out of their lines."""
        return list(self._parked)

    @property
    def elapsed(self) -> timedelta:
        """How far the clock has moved."""
        return timedelta(milliseconds=self._now_ms)

    # The host itself.

    @staticmethod
    def _decode(record: wire.TypedValue, type_: Any) -> Any:
        if type_ is not Any:
            return codec_of(type_, "the type of an egress record").get(record)
        for class_ in (int, float, str, bool, bytes, None, Any):
            codec = codec_of(class_, "the type of an egress record")
            if record.typename == codec.typename or (record.typename in codec.readers and record.typename != JSON):
                return codec.get(record)
        raise UsageError(
            f"the record is of type {record.typename}; name the class to read it as: host.egress(name, MyClass)"
        )

    def _why_no_reply(self, to: Ref[Any, Any], id: str, timeout: timedelta) -> str:
        if (to.namespace, to.name) not in self._functions:
            served = ", ".join(sorted(function.typename for function in self._functions.values())) or "none"
            return f"{to.typename} is not in this Harness, so nobody answers for it; there are: {served}"
        waiting = len(self.timers)
        return (
            f"{to.typename}/{id} did not answer within {timeout}; {waiting} delayed messages wait, "
            f"parked: {self._parked or 'none'}"
        )

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _message(self, to: Ref[Any, Any], id: str, message: Any, caller: Address | None) -> tuple[Address, _Message]:
        if not isinstance(to, Ref):
            raise UsageError(f"name the function to call, not {to!r}")
        check_text(id, ID_BYTES_MAX, f"the id of {to.typename}")
        argument = wire.TypedValue()
        try:
            to.codec.put(argument, message)
        except ValueEncodeError as error:
            raise ValueEncodeError(f"the message to {to.typename}: {error}") from error
        return Address(to.namespace, to.name, id), _Message(self._next_number(), caller, argument)

    def _enqueue(self, to: Address, message: _Message) -> None:
        if to.namespace == HOST_NAMESPACE and to.name == REPLY_TYPE:
            ask = self._asks.get(to.id)
            if ask is not None and not ask.is_done:
                ask.value = message.argument
        elif (to.namespace, to.name) not in self._functions:
            self._sent.setdefault((to.namespace, to.name), []).append((to.id, message.argument))
        else:
            instance = self._instances.setdefault(to, _Instance())
            instance.mailbox.append(message)
            if to not in self._ready:
                self._ready.append(to)

    def _push_timer(self, timer: _Timer) -> None:
        heapq.heappush(self._timers, (timer.due_ms, self._next_number(), timer))
        if timer.token:
            self._tokens[timer.sender, timer.token] = timer

    def _next_due_ms(self) -> int | None:
        while self._timers and self._timers[0][2].is_cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _fire_due(self) -> None:
        while (due_ms := self._next_due_ms()) is not None and due_ms <= self._now_ms:
            timer = heapq.heappop(self._timers)[2]
            self._tokens.pop((timer.sender, timer.token), None)
            self._enqueue(timer.to, _Message(self._next_number(), timer.sender, timer.argument))

    async def _settle(self) -> None:
        """Run until nothing is left to do at this moment of the clock."""
        async with self._lock:
            self._fire_due()
            while self._ready:
                address = self._ready.popleft()
                await self._call(address, self._instances[address])
                if self._instances[address].mailbox:
                    self._ready.append(address)
                self._fire_due()
        if self._failures:
            failure, self._failures = self._failures[0], []
            raise failure

    def _unexpired(self, instance: _Instance, name: str | None) -> _Stored | None:
        stored = instance.states.get(name or "")
        return stored if stored and (stored.due_ms is None or stored.due_ms > self._now_ms) else None

    def _request(self, address: Address, instance: _Instance, messages: Iterable[_Message]) -> bytes:
        request = wire.ToFunction()
        batch = request.invocation
        batch.target.namespace, batch.target.type, batch.target.id = address
        for name in self._specs.get((address.namespace, address.name), ()):
            state = batch.state.add()
            state.state_name = name
            stored = self._unexpired(instance, name)
            if stored is not None:
                state.state_value.CopyFrom(stored.value)
        for message in messages:
            invocation = batch.invocations.add()
            if message.caller is not None:
                invocation.caller.namespace, invocation.caller.type, invocation.caller.id = message.caller
            invocation.argument.CopyFrom(message.argument)
            invocation.message_id = f"{0:032x}-{message.number}"
        return request.SerializeToString()

    async def _call(self, address: Address, instance: _Instance) -> None:
        """Make one call, the handshake included, and apply its answer."""
        function = self._functions[address.namespace, address.name]
        count = 1 if instance.is_alone_next else min(len(instance.mailbox), BATCH_MAX)
        messages = [instance.mailbox[index] for index in range(count)]
        errors: list[BaseException] = []
        while True:
            body = await _protocol.handle(
                self._app_of[id(function)]._functions,
                self._app_of[id(function)]._threads_of,
                self._request(address, instance, messages),
                knows_partial=True,
                on_failure=errors.append,
            )
            answer = wire.FromFunction.FromString(body)
            if not answer.HasField("incomplete_invocation_context"):
                break
            specs = self._specs.setdefault((address.namespace, address.name), {})
            for spec in answer.incomplete_invocation_context.missing_values:
                specs.setdefault(spec.state_name, spec)
        result = answer.invocation_result
        done = result.failure.index if result.HasField("failure") else count
        for _ in range(done):
            instance.mailbox.popleft()
        instance.is_alone_next = False
        self._apply(address, instance, result)
        if result.HasField("failure"):
            self._blame(address, instance, result.failure, errors[0], count == 1)

    def _apply(self, address: Address, instance: _Instance, result: wire.FromFunction.InvocationResponse) -> None:
        for message in result.outgoing_messages:
            target = Address(message.target.namespace, message.target.type, message.target.id)
            self._enqueue(target, _Message(self._next_number(), address, message.argument))
        for delayed in result.delayed_invocations:
            if delayed.is_cancellation_request:
                timer = self._tokens.pop((address, delayed.cancellation_token), None)
                if timer is not None:
                    timer.is_cancelled = True
                continue
            target = Address(delayed.target.namespace, delayed.target.type, delayed.target.id)
            token = delayed.cancellation_token
            if token and (address, token) in self._tokens:
                self._parked.append(Parked(target, f"{address} has a message with token {token!r} waiting already"))
                continue
            self._push_timer(_Timer(self._now_ms + delayed.delay_in_ms, target, address, delayed.argument, token))
        for record in result.outgoing_egresses:
            self._egress.setdefault(f"{record.egress_namespace}/{record.egress_type}", []).append(record.argument)
        self._apply_states(address, instance, result)

    def _apply_states(
        self, address: Address, instance: _Instance, result: wire.FromFunction.InvocationResponse
    ) -> None:
        specs = self._specs.get((address.namespace, address.name), {})
        for name in [name for name in instance.states if self._unexpired(instance, name) is None]:
            del instance.states[name]
        for mutation in result.state_mutations:
            expiry = specs[mutation.state_name].expiration_spec
            if mutation.mutation_type != _MODIFY:
                instance.states.pop(mutation.state_name, None)
                continue
            due_ms = self._now_ms + expiry.expire_after_millis if expiry.mode in (_AFTER_WRITE, _AFTER_INVOKE) else None
            instance.states[mutation.state_name] = _Stored(mutation.state_value, due_ms)
        for name, stored in instance.states.items():
            expiry = specs[name].expiration_spec
            if expiry.mode == _AFTER_INVOKE:
                stored.due_ms = self._now_ms + expiry.expire_after_millis

    def _blame(
        self,
        address: Address,
        instance: _Instance,
        failure: wire.FromFunction.Failure,
        error: BaseException,
        was_alone: bool,
    ) -> None:
        """Deal with the message at the head of the mailbox, which failed."""
        message = instance.mailbox[0]
        instance.is_alone_next = True
        outcome: Rejected | FunctionFailed
        if not failure.retryable:
            outcome = Rejected(failure.code, failure.message)
        else:
            message.attempts += was_alone
            if message.attempts < self._attempts:
                return
            often = "once" if self._attempts == 1 else f"{self._attempts} times"
            outcome = FunctionFailed(f"{address} failed {often}: {failure.message}")
            outcome.__cause__ = error
            self._failures.append(outcome)
        instance.mailbox.popleft()
        instance.is_alone_next = False
        self._parked.append(Parked(address, str(outcome)))
        caller = message.caller
        if caller is not None and caller.namespace == HOST_NAMESPACE and caller.id in self._asks:
            ask = self._asks[caller.id]
            ask.error = None if ask.is_done else outcome
