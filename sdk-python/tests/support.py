# SPDX-License-Identifier: Apache-2.0
"""What the tests share: calls made by hand, and a run of one coroutine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import proa
from proa import _wire_pb2 as wire
from proa._codec import codec_of_value

T = TypeVar("T")
VECTORS = Path(__file__).resolve().parents[2] / "protocol" / "vectors"
INVOCATION = "00112233445566778899aabbccddeeff"
ASKER = ("proa", "reply", INVOCATION)
HEADERS = [(b"host", b"functions"), (b"content-type", b"application/octet-stream")]
WITH_PARTIAL = [*HEADERS, (b"proa-features", b"partial")]


def run(story: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(story)


def vectors(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    assert loaded["format"] == 1
    return loaded


class Answer:
    """What came back from the app, over ASGI."""

    def __init__(self, sent: list[Any]) -> None:
        start, body = sent
        self.status: int = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.body: bytes = body["body"]
        if self.body or self.headers.get("content-type") == "application/octet-stream":
            assert self.headers["content-length"] == str(len(self.body))

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def message(self) -> wire.FromFunction:
        assert self.status == 200, self.text
        return wire.FromFunction.FromString(self.body)

    @property
    def result(self) -> wire.FromFunction.InvocationResponse:
        assert self.message.HasField("invocation_result")
        return self.message.invocation_result


async def request(
    app: proa.App,
    *parts: bytes,
    method: str = "POST",
    headers: list[tuple[bytes, bytes]] | None = None,
    path: str = "/",
    **scope: Any,
) -> Answer:
    events = [
        {"type": "http.request", "body": part, "more_body": index + 1 < len(parts)} for index, part in enumerate(parts)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return events.pop(0) if events else {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    http = {"type": "http", "method": method, "path": path, "headers": WITH_PARTIAL if headers is None else headers}
    await app({**http, **scope}, receive, send)
    return Answer(sent)


def make_call(target: str, *messages: Any, states: dict[str, Any] | None = None, caller: Any = None) -> bytes:
    """Return the bytes of a call; a state of None is registered and unset."""
    call = wire.ToFunction()
    batch = call.invocation
    batch.target.namespace, batch.target.type, batch.target.id = target.split("/", 2)
    for name, value in (states or {}).items():
        state = batch.state.add()
        state.state_name = name
        if value is not None:
            codec_of_value(value).put(state.state_value, value)
    for message in messages:
        invocation = batch.invocations.add()
        if caller is not None:
            invocation.caller.namespace, invocation.caller.type, invocation.caller.id = caller
        codec_of_value(message).put(invocation.argument, message)
    return call.SerializeToString()


def call(
    app: proa.App,
    target: str,
    *messages: Any,
    states: dict[str, Any] | None = None,
    caller: Any = None,
    partial: bool = True,
) -> Answer:
    body = make_call(target, *messages, states=states, caller=caller)
    return run(request(app, body, headers=WITH_PARTIAL if partial else HEADERS))
