# SPDX-License-Identifier: Apache-2.0
"""The app as an ASGI application."""

from __future__ import annotations

from typing import Any

import pytest
from support import HEADERS, make_call, request, run

import proa

app = proa.App(request_bytes_max=1000)


@app.function("a/f")
async def function(ctx: proa.Context, message: int) -> None: ...


CALL = make_call("a/f/1", 1)


def test_a_call() -> None:
    answer = run(request(app, CALL))
    assert answer.status == 200
    assert answer.headers == {
        "content-type": "application/octet-stream",
        "proa-features": "partial",
        "content-length": "3",
    }
    assert answer.body == b"\xa2\x06\x00"
    assert run(request(app, CALL[:10], CALL[10:20], CALL[20:], path="/any/path")).body == b"\xa2\x06\x00"
    assert run(request(app, CALL, headers=[(b"content-type", b"Application/Octet-Stream")])).status == 200


@pytest.mark.parametrize("features", [b"partial", b"bundle, partial", b"partial,bundle", b" partial "])
def test_features_are_a_list(features: bytes) -> None:
    bad = make_call("a/f/1", "x")
    assert run(request(app, bad, headers=[*HEADERS, (b"proa-features", features)])).status == 200
    assert run(request(app, bad, headers=[*HEADERS, (b"proa-features", b"bundle")])).status == 500


@pytest.mark.parametrize(
    ("body", "arguments", "status", "text"),
    [
        (b"\xff\xff", {}, 400, "the body is not a ToFunction message"),
        (b"", {}, 400, "the ToFunction message holds no invocation"),
        (b"\xf2\x06\x00", {}, 400, "holds no invocation"),
        (CALL, {"headers": []}, 415, "the Content-Type of a call is application/octet-stream"),
        (CALL, {"headers": [(b"content-type", b"application/octet-stream; a=b")]}, 415, "Content-Type"),
        (CALL, {"method": "PUT"}, 405, "by POST"),
        (CALL, {"method": "GET", "path": "/x"}, 405, "by POST"),
        (b"x" * 1001, {}, 413, "at most 1000 bytes"),
        (b"", {"headers": [*HEADERS, (b"content-length", b"99999999")]}, 413, "at most 1000 bytes"),
    ],
)
def test_refusals(body: bytes, arguments: dict[str, Any], status: int, text: str) -> None:
    answer = run(request(app, body, **arguments))
    assert (answer.status, text in answer.text) == (status, True), answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["proa-features"] == "partial"
    assert ("allow" in answer.headers) == (status == 405)


def test_body_in_pieces_is_bounded() -> None:
    assert run(request(app, *[b"x" * 400] * 10)).status == 413


def test_help() -> None:
    answer = run(request(app, method="GET"))
    assert answer.status == 200
    assert "  a/f\n" in answer.text
    assert run(request(app, method="GET", path="/fn/", root_path="/fn")).status == 200
    head = run(request(app, method="HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) == len(answer.body)


@pytest.mark.parametrize("parts", [[], [b"abc"]])
def test_the_host_hangs_up(parts: list[bytes]) -> None:
    sent: list[Any] = []
    events: list[Any] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]

    async def receive() -> Any:
        return events.pop(0) if events else {"type": "http.disconnect"}

    async def send(event: Any) -> None:
        sent.append(event)

    run(app({"type": "http", "method": "POST", "path": "/", "headers": HEADERS}, receive, send))
    assert sent == []


def test_lifespan_and_websocket() -> None:
    sent: list[Any] = []
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}, {"type": "websocket.connect"}]

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        sent.append(event["type"])

    run(app({"type": "lifespan"}, receive, send))
    run(app({"type": "websocket"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]


def test_annotations_with_state() -> None:
    assert [function.typename for function in app.functions] == ["a/f"]
    assert repr(function) == "<Function a/f>"
