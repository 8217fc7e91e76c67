# SPDX-License-Identifier: Apache-2.0
"""The app under uvicorn, as people run it."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import socket
import threading
import time
from typing import Any

import pytest
from support import ASKER, make_call

import proa
from proa import _wire_pb2 as wire

uvicorn = pytest.importorskip("uvicorn")
app = proa.App(request_bytes_max=1 << 20)


class Counter(proa.State):
    total = proa.value(int, default=0)


@app.function("example/counter")
async def counter(ctx: proa.Context[Counter], amount: int) -> int:
    ctx.state.total += amount
    return ctx.state.total


@app.function("example/thread")
def in_thread(ctx: proa.Context, amount: int) -> int:
    return amount


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_uvicorn(parser: str) -> None:
    if importlib.util.find_spec(parser) is None:
        pytest.skip(f"needs {parser}")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=parser, lifespan="on", log_level="warning")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        check(http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=60))
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
    assert not thread.is_alive()


def check(client: http.client.HTTPConnection) -> None:
    def post(body: Any, **headers: str) -> tuple[int, bytes, Any]:
        client.request("POST", "/", body, {"Content-Type": "application/octet-stream", **headers})
        response = client.getresponse()
        return response.status, response.read(), response.headers

    status, body, headers = post(make_call("example/counter/bob", 5, states={"total": 2}, caller=ASKER))
    assert status == 200
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Proa-Features"] == "partial"
    assert headers["Content-Length"] == str(len(body))
    result = wire.FromFunction.FromString(body).invocation_result
    assert result.outgoing_messages[0].argument.value == b"\x09\x07" + bytes(7)
    assert post(make_call("example/thread/bob", 5, caller=ASKER))[0] == 200
    assert post(make_call("example/counter/bob", 5), **{"Proa-Features": "partial"})[1][:1] == b"\xaa"
    chunked = make_call("example/counter/bob", 5, states={"total": None})
    assert post(iter([chunked[:9], chunked[9:]]))[0] == 200
    assert post(b"\xff")[0] == 400
    client.request("GET", "/")
    response = client.getresponse()
    assert b"example/counter" in response.read()
    client.close()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may hang up before all is sent
        assert post(b"x" * (2 << 20))[0] == 413
    client.close()
