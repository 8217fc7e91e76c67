# SPDX-License-Identifier: Apache-2.0
"""Every exception of this package.

    ProaError
    ├── DefinitionError     a function, message or state is declared wrongly; raised at import
    ├── UsageError          the context or the harness is used wrongly; raised at the line that does it
    ├── ValueEncodeError    a value does not fit the type it is to travel as
    ├── ValueDecodeError    bytes that came cannot be read as the type the function takes
    ├── StateTypeError      a stored state value has another type than the function declares
    ├── RequestError        a request is not one of the protocol; the server answers `status`
    ├── Reject              raised BY a function: this message is refused for good
    ├── Rejected            raised to whoever asks in a test: the function refused
    ├── FunctionFailed      raised in a test: a function kept failing
    └── NoReply             raised in a test: nobody answered an ask in time

A function raises `Reject` for what trying again cannot mend; any other exception is tried again by the host.
"""

from __future__ import annotations

CODE_BYTES_MAX = 128
TEXT_BYTES_MAX = 1000
_CUT = "…"


def clean_text(text: str, bytes_max: int = TEXT_BYTES_MAX) -> str:
    """Return `text` as it may travel: no NUL, no lone surrogates, at most `bytes_max` bytes."""
    data = text[: bytes_max + 1].encode("utf-8", "replace").replace(b"\x00", b"?")
    if len(data) <= bytes_max:
        return data.decode("utf-8")
    return data[: bytes_max - len(_CUT.encode())].decode("utf-8", "ignore") + _CUT


class ProaError(Exception):
    """The root of this package's exceptions."""


class DefinitionError(ProaError, TypeError):
    """A function, a message or a state is declared wrongly. The text names it and the way to mend it."""


class UsageError(ProaError, ValueError):
    """The context or the harness was asked for something that cannot be."""


class ValueEncodeError(ProaError, TypeError):
    """A value does not fit the type it is to travel as."""


class ValueDecodeError(ProaError, ValueError):
    """Bytes that came cannot be read as the type the function takes."""


class StateTypeError(ProaError):
    """A stored state value has another type than the function declares."""


class RequestError(ProaError):
    """A request is not one of the protocol."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Reject(ProaError):  # noqa: N818 - it is an order of the function, not an error of the program
    """Refuse the message being handled, for good.

    What the handler did for this message (state, sends, emits) is taken back. An asker gets `code` and `message`;
    a plain message is parked by the host, for a person to look at.
    """

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = clean_text(str(code), CODE_BYTES_MAX) or "rejected"
        self.message = clean_text(str(message))

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


class Rejected(ProaError):  # noqa: N818
    """An ask was refused by the function with `code` and `message`."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message


class FunctionFailed(ProaError):  # noqa: N818
    """A function failed as often as the harness tries; the function's own exception is the cause."""


class NoReply(ProaError):  # noqa: N818
    """An ask was not answered before its timeout."""
