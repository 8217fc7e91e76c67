# SPDX-License-Identifier: Apache-2.0
"""Endpoints that are no plain host and port: Unix sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from harness import Host, ScriptedFunction
from harness.function import Call, Reply, reply_to

Start = Callable[..., ScriptedFunction]
Make = Callable[[], Host]

OURS = """
kind: proa.v1/endpoint
spec:
  functions: {{odd/*: {{}}}}
  url: {url}
  retry: {{first: 5ms, max: 20ms}}
"""
STATEFUN = """
kind: io.statefun.endpoints.v2/http
spec:
  functions: odd/*
  urlPathTemplate: {url}
  transport: {{type: io.statefun.transports.v1/{transport}}}
"""


def answer(call: Call) -> Reply:
    return Reply(reply_to(call, "proa/json", b"1"))


# ---- Unix sockets ---------------------------------------------------------------------------------------------------


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Where a socket may be made; its path has few bytes, of which there are 107 at most."""
    with TemporaryDirectory(prefix="proa") as folder:
        yield Path(folder) / "functions.sock"


@pytest.mark.parametrize(
    "module",
    [OURS, STATEFUN.replace("{transport}", "async"), STATEFUN.replace("{transport}", "okhttp")],
    ids=["ours", "async", "okhttp"],
)
def test_a_function_behind_a_unix_socket(make_host: Make, scripted: Start, socket_path: Path, module: str) -> None:
    function = scripted(answer, path=socket_path)
    host = make_host().configure(module=module.format(url=function.url + "a/{function.name}/x.sock?q=1")).start()
    for _ in range(3):
        assert host.ask("odd/one/a", 1).json == 1
    assert {call.path for call in function.calls} == {"/a/one/x.sock?q=1"}
    assert {call.headers["host"] for call in function.calls} == {"localhost"}
    assert len({call.peer_port for call in function.calls}) == 1


def test_a_unix_socket_without_a_path_behind_it(make_host: Make, scripted: Start, socket_path: Path) -> None:
    function = scripted(answer, path=socket_path)
    host = make_host().configure({"odd/*": f"http+unix://{socket_path}"}).start()
    assert host.ask("odd/one/a", 1).json == 1
    assert function.calls[0].path == "/"


def test_a_unix_socket_that_is_not_there_is_waited_for(make_host: Make, scripted: Start, socket_path: Path) -> None:
    function = scripted(answer, path=socket_path)
    function.stop()
    socket_path.unlink()
    host = make_host().configure(module=OURS.format(url=function.url)).start()
    assert host.send("odd/one/a", 1).status == 202
    host.await_metric("proa_endpoints_down", 1)
    event = next(event for event in host.events() if event["event"] == "endpoint.down")
    assert event["subject"] == function.url
    assert event["text"].startswith(f"{function.url} could not be called: ")
    assert "No such file or directory" in event["text"]
    assert host.metrics()["proa_parked_messages"] == 0
    function.start()
    host.await_idle()
    assert len(function.calls) == 1


def test_each_unix_socket_has_its_connections(make_host: Make, scripted: Start, socket_path: Path) -> None:
    other_path = socket_path.with_name("other.sock")
    function, other, plain = scripted(answer, path=socket_path), scripted(answer, path=other_path), scripted(answer)
    urls = {"odd/*": function.url, "other/*": other.url, "plain/*": plain.url}
    host = make_host().configure(urls).start()
    for _ in range(3):
        for space in ("odd", "plain", "other"):
            assert host.ask(f"{space}/one/a", 1).json == 1
    for space, server in (("odd", function), ("other", other), ("plain", plain)):
        assert [call.batch.target.namespace for call in server.calls] == [space] * 3
        assert len({call.peer_port for call in server.calls}) == 1
