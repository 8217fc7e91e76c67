# SPDX-License-Identifier: Apache-2.0
"""The small plain values everything else speaks about: addresses, raw values, expiry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from .errors import DefinitionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")
C = TypeVar("C", bound="type[Any]")

HOST_NAMESPACE = "proa"
REPLY_TYPE = "reply"
NAME_BYTES_MAX = 128
ID_BYTES_MAX = 4096
TYPENAME_BYTES_MAX = 512
TOKEN_BYTES_MAX = 4096
INT64_MAX = 2**63 - 1


class Address(NamedTuple):
    """The name of one instance: `namespace/name/id`."""

    namespace: str
    name: str
    id: str

    @property
    def function(self) -> str:
        """The function type, `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}/{self.id}"


@dataclass(frozen=True)
class ReplyTo(Generic[R]):
    """Where the answer to an ask is awaited: given by `ctx.defer()`, used by `ctx.reply_to()`.

    It may travel inside messages and be kept in state. If nobody asked it is empty, and answering it does nothing.
    """

    id: str

    def __bool__(self) -> bool:
        return self.id != ""


@dataclass(frozen=True)
class RawValue:
    """A value this program does not look into: the name of its type and its bytes.

    A function that takes `RawValue` gets every message as it came.
    """

    typename: str
    data: bytes


@dataclass(frozen=True)
class Expiry:
    """When a state value vanishes by itself. Made by `after_write` and `after_invoke`."""

    mode: str  # "after_write" or "after_invoke"
    milliseconds: int


def after_write(delay: timedelta) -> Expiry:
    """Let a state value vanish when it was not written for so long."""
    return Expiry("after_write", _lifetime(delay, "after_write"))


def after_invoke(delay: timedelta) -> Expiry:
    """Let a state value vanish when its instance was not called for so long."""
    return Expiry("after_invoke", _lifetime(delay, "after_invoke"))


def _lifetime(delay: timedelta, name: str) -> int:
    milliseconds = to_milliseconds(delay)
    if milliseconds < 1:
        raise DefinitionError(f"proa.{name}({delay!r}): the time must be at least a millisecond")
    return milliseconds


def to_milliseconds(delay: timedelta) -> int:
    """Return whole milliseconds, rounded up, so that nothing happens early."""
    if not isinstance(delay, timedelta):
        raise UsageError(f"a delay must be a datetime.timedelta, not {type(delay).__name__}")
    return -(-delay // timedelta(milliseconds=1))


@lru_cache(maxsize=1024)
def split_name(text: str, what: str) -> tuple[str, str]:
    """Split "namespace/name" at its only slash. UsageError if it is not so formed."""
    namespace, _, name = text.partition("/")
    if not namespace or not name or "/" in name:
        raise UsageError(f"{what} must be written namespace/name, like example/counter, not {text!r}")
    for part in (namespace, name):
        check_text(part, NAME_BYTES_MAX, what)
    return namespace, name


def check_text(text: str, bytes_max: int, what: str) -> None:
    """Raise UsageError unless `text` is non-empty text the host accepts: UTF-8, no NUL, not too long."""
    if not isinstance(text, str):
        raise UsageError(f"{what} must be a str, not {type(text).__name__}")
    if not text:
        raise UsageError(f"{what} must not be empty")
    if "\x00" in text:
        raise UsageError(f"{what} must not hold a NUL character: {text!r}")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise UsageError(f"{what} is not valid Unicode: {text!r}") from None
    if size > bytes_max:
        raise UsageError(f"{what} is {size} bytes long, {bytes_max} is the limit")


def message(typename: str) -> Callable[[C], C]:
    """Name the type a dataclass or pydantic model travels as, in place of `proa/json`.

    The bytes stay JSON. Needed where a function takes several message types:

        @proa.message("shop/Add")
        @dataclass
        class Add: ...
    """
    if not isinstance(typename, str):
        raise DefinitionError('proa.message needs a name: write @proa.message("shop/Add")')
    try:
        split_name(typename, "the name of a message type")
    except UsageError as error:
        raise DefinitionError(str(error)) from None

    def set_name(class_: C) -> C:
        class_.__proa_typename__ = typename
        return class_

    return set_name
