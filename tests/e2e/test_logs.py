# SPDX-License-Identifier: Apache-2.0
"""The log: JSON for machines, text for people; and the command line's own words."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Host, PythonFunctions, wait_until
from harness.host import binary

Make = Callable[[], Host]
MODULE = """
kind: proa.v1/endpoint
spec: {{functions: {{zoo/*: {{}}}}, url: "{url}"}}
---
kind: proa.v1/endpoint
spec: {{functions: {{zoo/broken: {{}}}}, url: "{url}", retry: {{first: 1ms, attempts: 2, then: drop}}}}
"""


def test_lines_are_json_when_nobody_watches(host: Host) -> None:
    host.ask("zoo/picky/a", -1)
    host.stop()
    lines = host.log.splitlines()
    events = [json.loads(line) for line in lines]
    assert all({"time", "level", "event"} <= event.keys() for event in events)
    assert all(event.get("subject", "none") for event in events), "what an event does not have is not there"
    names = [event["event"] for event in events]
    assert "host.ready" in names
    assert "store.recovered" in names
    assert any("parked" in name for name in names)


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_trace_contexts_are_logged(make_host: Make, zoo: PythonFunctions) -> None:
    """With every request at level debug, and at any level with what became of a message that was put aside."""
    module = MODULE.format(url=zoo.url)
    for level in ("debug", "info"):
        host = make_host().configure(module=module, options=("--log-level", level)).start()
        asked = host.ask("zoo/picky/traced", -1, headers={"traceparent": TRACE})
        assert asked.status == 422
        assert host.ask("zoo/picky/plain", -1).status == 422
        assert host.ask("zoo/broken/traced", 13, headers={"traceparent": TRACE}).code == "dropped"
        host.stop()
        requests = [event for event in host.events() if event["event"] == "http.request"]
        assert [event["traceparent"] for event in requests] == ([TRACE, "", TRACE] if level == "debug" else [])
        assert all(event["invocation"] == asked.json["invocation"] for event in requests[:1])
        put_aside = [event for event in host.events() if event["event"].startswith("message.")]
        assert [(event["event"], event["subject"], event.get("traceparent")) for event in put_aside] == [
            ("message.parked", "zoo/picky/traced", TRACE),
            ("message.parked", "zoo/picky/plain", None),
            ("message.dropped", "zoo/broken/traced", TRACE),
        ]


def test_lines_are_text_on_a_terminal(make_host: Make, zoo: PythonFunctions) -> None:
    host = make_host().configure({"zoo/*": zoo.url})
    master, terminal = pty.openpty()
    try:
        host.spawn(stderr=terminal)
        text = b""

        def is_ready() -> bool:
            nonlocal text
            text += os.read(master, 65536)
            return b"\n" in text.partition(b"host.ready")[2]

        wait_until(is_ready, "host.ready on the terminal")
        line = next(line for line in text.decode().splitlines() if "host.ready" in line)
        assert not line.startswith("{")
        assert "ingress_port=" in line
    finally:
        host.dispose()
        os.close(master)
        os.close(terminal)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The binary with these arguments, which ends by itself."""
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_help() -> None:
    assert "serve" in run("--help").stdout
    assert run().stdout == run("--help").stdout
    done = run("serve", "--help")
    assert done.returncode == 0
    for option in ("--module", "--data", "--ingress-port", "--admin-port", "--listen", "--function", "--egress"):
        assert option in done.stdout


def test_version() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert "0.1.0" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["sail"], "sail"),
        (["serve"], "--data"),
        (["serve", "--data", "x", "--ingres-port", "1"], "--ingress-port"),
        (["serve", "--data", "x", "--ingress-port", "70000"], "--ingress-port"),
        (["serve", "--data", "x", "--function", "nonsense"], "nonsense"),
        (["egress", "a/b", "--data", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_mistakes_on_the_command_line(arguments: list[str], word: str) -> None:
    done = run(*arguments)
    assert done.returncode != 0
    assert word in done.stderr


def test_all_mistakes_of_a_module_file_at_once(make_host: Make, tmp_path: Path) -> None:
    module = (
        "kind: proa.v1/endpoint\nspec:\n  functons: {a/b: {}}\n  url: http://localhost:1/\n  call: {timeout: soon}\n"
    )
    host = make_host().configure(module=module)
    host.spawn()
    assert host.wait() != 0
    assert "module.yaml:3" in host.log
    assert "functions" in host.log  # the nearest known key
    assert "module.yaml:5" in host.log


def test_options_from_the_environment(make_host: Make, zoo: PythonFunctions) -> None:
    host = make_host().configure()
    host.start({"PROA_FUNCTION": f"zoo/*={zoo.url}"})
    assert host.ask("zoo/counter/a", 1).json == 1
