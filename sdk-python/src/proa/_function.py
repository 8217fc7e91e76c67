# SPDX-License-Identifier: Apache-2.0
"""References to functions: what a program sends to, and what it serves.

`Ref[In, Out]` names a function type and the messages it takes and answers. `Function[S, In, Out]` is one that this
program serves, made by `@app.function` from the annotations of its handler.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from ._codec import Codec, codec_of
from ._context import Context
from ._model import HOST_NAMESPACE, ReplyTo, split_name
from ._state import State, Value, specs_of
from .errors import DefinitionError, UsageError

S = TypeVar("S", bound=State)
In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
M = TypeVar("M")
A = TypeVar("A")


class Ref(Generic[In, Out]):
    """A function type somewhere: its name, the messages it takes, the answer it gives."""

    __slots__ = ("codec", "name", "namespace", "reply_codec", "typename")

    def __init__(self, typename: str, codec: Codec, reply_codec: Codec) -> None:
        self.typename = typename
        self.namespace, self.name = split_name(typename, "the name of a function")
        self.codec = codec
        self.reply_codec = reply_codec

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.typename}>"


class Function(Ref[In, Out], Generic[S, In, Out]):
    """A function this program serves."""

    __slots__ = ("handler", "is_async", "specs", "state", "takes_message")

    def __init__(self, typename: str, handler: Callable[..., Any], state: type[S] | None, signature: Signature) -> None:
        super().__init__(typename, signature.codec, signature.reply_codec)
        self.handler = handler
        self.is_async = inspect.iscoroutinefunction(handler)
        self.takes_message = signature.takes_message
        self.state = state
        self.specs: tuple[Value[Any], ...] = tuple(specs_of(state))

    if not typing.TYPE_CHECKING:  # type checkers know already that it cannot be called

        def __call__(self, *arguments: Any, **named: Any) -> Any:
            """Refuse: a function runs where its instance is, and not within another one."""
            raise UsageError(
                f"function {self.typename} is not called but sent to, by ctx.send(…, id=…, message=…); what both need "
                "stands in a function without @app.function"
            )


class Signature(typing.NamedTuple):
    """What the annotations of a handler say."""

    codec: Codec
    reply_codec: Codec
    takes_message: bool
    state: type[State] | None


@overload
def remote(name: str, takes: type[M], answers: None = None) -> Ref[M, None]: ...
@overload
def remote(name: str, takes: type[M], answers: type[A]) -> Ref[M, A]: ...
def remote(name: str, takes: Any, answers: Any = None) -> Ref[Any, Any]:
    """Name a function that another program serves, in any language: `remote("shop/stock", Reserve, Reserved)`."""
    where = f"proa.remote({name!r})"
    try:
        return Ref(name, codec_of(takes, where), codec_of(answers, where))
    except UsageError as error:
        raise DefinitionError(f"{where}: {error}") from None


def make_function(
    name: str, handler: Any, state: type[State] | None, local_names: dict[str, Any]
) -> Function[Any, Any, Any]:
    """Check a declaration and compile it. DefinitionError names the function and the fix."""
    try:
        namespace, _ = split_name(name, "the name of a function")
    except UsageError as error:
        raise DefinitionError(f"@app.function({name!r}): {error}") from None
    where = f"function {name}"
    if namespace == HOST_NAMESPACE:
        raise DefinitionError(f"{where}: the namespace {HOST_NAMESPACE!r} belongs to the host; choose another")
    if not inspect.isfunction(handler):
        raise DefinitionError(f"{where}: @app.function stands above a plain def or async def, not {handler!r}")
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise DefinitionError(f"{where}: a handler returns its answer, it cannot yield")
    if state is not None and not (isinstance(state, type) and issubclass(state, State)):
        raise DefinitionError(f"{where}: state must be a class derived from proa.State, not {state!r}")
    signature = _read_signature(handler, where, local_names)
    if state is not None and signature.state not in (None, State, state):
        raise DefinitionError(
            f"{where}: declared with state={state.__name__}, but its context is annotated with "
            f"{signature.state.__name__ if signature.state else None}; write ctx: proa.Context[{state.__name__}]"
        )
    own_state = state or signature.state
    return Function(name, handler, None if own_state is State else own_state, signature)


def _read_signature(handler: Any, where: str, local_names: dict[str, Any]) -> Signature:
    example = "def handler(ctx: proa.Context[MyState], message: MyMessage) -> MyAnswer"
    parameters = list(inspect.signature(handler).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not 1 <= len(parameters) <= 2 or any(parameter.kind not in positional for parameter in parameters):
        raise DefinitionError(f"{where}: a handler takes the context and one message: {example}")
    module = sys.modules.get(handler.__module__)
    try:
        hints = typing.get_type_hints(handler, {**vars(module)} if module else None, local_names, include_extras=True)
    except NameError as error:
        raise DefinitionError(
            f"{where}: an annotation cannot be resolved ({error}); define or import the class above the function"
        ) from error
    context = hints.get(parameters[0].name)
    if context is not Context and typing.get_origin(context) is not Context:
        raise DefinitionError(f"{where}: its first parameter must be annotated as a proa.Context: {example}")
    state = (*typing.get_args(context), None)[0]
    if state is not None and not (isinstance(state, type) and issubclass(state, State)):
        raise DefinitionError(f"{where}: proa.Context[…] wants a class derived from proa.State, not {state!r}")
    if "return" not in hints:
        raise DefinitionError(f"{where}: its answer is not annotated; write -> None if it answers nothing")
    codec = codec_of(None, where)
    if len(parameters) == 2:
        if parameters[1].name not in hints:
            raise DefinitionError(f"{where}: the message {parameters[1].name!r} is not annotated: {example}")
        codec = codec_of(hints[parameters[1].name], f"{where}, message {parameters[1].name!r}")
    return Signature(codec, _codec_of_answer(hints["return"], where), len(parameters) == 2, state)


def _codec_of_answer(annotation: Any, where: str) -> Codec:
    """Compile what is answered: `ReplyTo[Receipt]` stands for a Receipt that comes later."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    parts = []
    for part in typing.get_args(annotation) if is_union else (annotation,):
        if part is ReplyTo:
            raise DefinitionError(
                f"{where}: write what is answered later into its annotation, as in -> proa.ReplyTo[Receipt]"
            )
        parts.append(typing.get_args(part)[0] if typing.get_origin(part) is ReplyTo else part)
    answers = typing.Union[tuple(parts)] if len(parts) > 1 else parts[0]  # noqa: UP007 - the members are computed
    return codec_of(answers, f"{where}, its answer")
