# SPDX-License-Identifier: Apache-2.0
"""The app: a set of functions, and the ASGI callable that serves them.

app = proa.App()
…
uvicorn counter:app --port 8000
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar, overload

from . import _protocol
from ._context import Context
from ._function import Function, make_function
from ._model import ReplyTo
from ._state import State
from .errors import DefinitionError, RequestError

S = TypeVar("S", bound=State)
In = TypeVar("In")
Out = TypeVar("Out")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FEATURES = b"partial"
CONTENT_TYPE = b"application/octet-stream"
REQUEST_BYTES_MAX = 64 << 20
_FEATURE_HEADER = (b"proa-features", FEATURES)
_ANSWER_HEADERS = [(b"content-type", CONTENT_TYPE), _FEATURE_HEADER]


class _Declare(Protocol):
    """What `app.function(…)` returns: it turns a handler into a Function."""

    @overload
    def __call__(self, handler: Callable[[Context[S], In], Awaitable[None]], /) -> Function[S, In, None]: ...
    @overload
    def __call__(self, handler: Callable[[Context[S], In], Awaitable[ReplyTo[Out]]], /) -> Function[S, In, Out]: ...
    @overload
    def __call__(
        self, handler: Callable[[Context[S], In], Awaitable[ReplyTo[Out] | None]], /
    ) -> Function[S, In, Out | None]: ...
    @overload
    def __call__(self, handler: Callable[[Context[S], In], Awaitable[Out]], /) -> Function[S, In, Out]: ...
    @overload
    def __call__(self, handler: Callable[[Context[S]], Awaitable[ReplyTo[Out]]], /) -> Function[S, None, Out]: ...
    @overload
    def __call__(self, handler: Callable[[Context[S]], Awaitable[Out]], /) -> Function[S, None, Out]: ...
    @overload
    def __call__(self, handler: Callable[[Context[S], In], None], /) -> Function[S, In, None]: ...
    @overload
    def __call__(self, handler: Callable[[Context[S], In], ReplyTo[Out]], /) -> Function[S, In, Out]: ...
    @overload
    def __call__(self, handler: Callable[[Context[S], In], ReplyTo[Out] | None], /) -> Function[S, In, Out | None]: ...
    @overload
    def __call__(self, handler: Callable[[Context[S], In], Out], /) -> Function[S, In, Out]: ...
    @overload
    def __call__(self, handler: Callable[[Context[S]], ReplyTo[Out]], /) -> Function[S, None, Out]: ...
    @overload
    def __call__(self, handler: Callable[[Context[S]], Out], /) -> Function[S, None, Out]: ...


class App:
    """A set of functions, served as an ASGI application."""

    def __init__(self, *, threads: int = 32, request_bytes_max: int = REQUEST_BYTES_MAX) -> None:
        """Make an app without functions.

        `threads` bounds how many functions that are not `async` run at once; `request_bytes_max` bounds the body of
        a call, beyond which it is answered 413.
        """
        self._functions: dict[tuple[str, str], Function[Any, Any, Any]] = {}
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._request_bytes_max = request_bytes_max

    def function(self, name: str, *, state: type[State] | None = None) -> _Declare:
        """Serve a handler as the function type `name`, written namespace/name.

            @app.function("example/counter")
            async def counter(ctx: proa.Context[Counter], amount: int) -> int: ...

        What it takes and answers is read from the annotations; so is its state, unless `state` names it. A handler
        that is not `async` runs in a thread.
        """
        if not isinstance(name, str):
            raise DefinitionError('app.function needs a name: write @app.function("example/counter")')
        local_names = sys._getframe(1).f_locals

        def declare(handler: Any, /) -> Any:
            function = make_function(name, handler, state, local_names)
            key = (function.namespace, function.name)
            if key in self._functions:
                raise DefinitionError(f"function {name} is declared twice in this app; give one of them another name")
            self._functions[key] = function
            return function

        return declare

    @property
    def functions(self) -> Iterable[Function[Any, Any, Any]]:
        """The functions served, in the order of their declaration."""
        return self._functions.values()

    def _threads_of(self) -> Executor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "proa-function")
        return self._pool

    def close(self) -> None:
        """End the threads, once what they run is done. A server does this at its shutdown."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            try:
                await self._serve(scope, receive, send)
            except RequestError as error:
                await _send_text(send, error.status, str(error))
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1003})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call, or the visit of a browser. RequestError: it is neither, and nothing was sent."""
        if scope["method"] != "POST":
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if scope["method"] not in ("GET", "HEAD") or path not in ("", "/"):
                raise RequestError(405, "a function is called by POST")
            await _send_text(send, 200, self._help(), body_wanted=scope["method"] != "HEAD")
            return
        knows_partial, trace_header = self._read_headers(scope["headers"])
        body = await self._body(receive)
        if body is None:
            return
        answer = await _protocol.handle(
            self._functions, self._threads_of, body, knows_partial=knows_partial, trace_header=trace_header
        )
        length = (b"content-length", b"%d" % len(answer))
        await send({"type": "http.response.start", "status": 200, "headers": [*_ANSWER_HEADERS, length]})
        await send({"type": "http.response.body", "body": answer})

    def _read_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[bool, str]:
        """Return whether the host announced `partial`, and the trace context. RequestError: this is no call."""
        content_type = trace_header = b""
        knows_partial = False
        for name, value in headers:
            if name == b"content-type":
                content_type = value
            elif name == b"proa-features":
                knows_partial = value == FEATURES or FEATURES in [word.strip() for word in value.split(b",")]
            elif name == b"traceparent":
                trace_header = value
            elif name == b"content-length" and int(value) > self._request_bytes_max:
                raise self._too_large()
        if content_type.lower() != CONTENT_TYPE:
            raise RequestError(415, f"the Content-Type of a call is {CONTENT_TYPE.decode()}")
        return knows_partial, trace_header.decode("latin-1")

    async def _body(self, receive: Receive) -> bytes | None:
        """Return the whole body, None if the host hung up."""
        event = await receive()
        body: bytes = event.get("body", b"")
        if event.get("more_body"):
            parts, size = [body], len(body)
            while event.get("more_body"):
                event = await receive()
                parts.append(event.get("body", b""))
                size += len(parts[-1])
                if size > self._request_bytes_max:
                    raise self._too_large()
            body = b"".join(parts)
        if len(body) > self._request_bytes_max:
            raise self._too_large()
        return body if event["type"] == "http.request" else None

    def _too_large(self) -> RequestError:
        return RequestError(
            413, f"the body of a call is at most {self._request_bytes_max} bytes here; see App(request_bytes_max=…)"
        )

    def _help(self) -> str:
        names = "".join(f"  {function.typename}\n" for function in self.functions)
        return f"This address serves functions to a Proa host, which calls them by POST:\n\n{names}"

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _send_text(send: Send, status: int, text: str, *, body_wanted: bool = True) -> None:
    body = (text.rstrip("\n") + "\n").encode("utf-8", "replace")
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        _FEATURE_HEADER,
    ]
    if status == 405:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body if body_wanted else b""})
