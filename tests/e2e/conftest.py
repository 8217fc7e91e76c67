# SPDX-License-Identifier: Apache-2.0
"""Fixtures: hosts and functions that a test starts, and that end with it; their logs are shown if it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Host, PythonFunctions, ScriptedFunction
from harness.function import Call, Reply

LOG_SHOWN_BYTES = 6000
SERVED = """
kind: proa.v1/endpoint
spec:
  functions: {{test/*: {{}}, other/*: {{}}}}
  url: {url}
  call: {{{call}}}
  retry: {{first: 5ms, max: 20ms, {retry}}}
---
kind: proa.v1/egress
spec: {{name: test/records}}
"""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[None]:
    """Leaves word on the test item whether it failed."""
    outcome = yield
    report = outcome.get_result()
    item.has_failed = getattr(item, "has_failed", False) or report.failed


@pytest.fixture
def make_host(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[], Host]]:
    """Makes hosts, each in a folder of its own; they are disposed of at the end."""
    hosts: list[Host] = []

    def make() -> Host:
        folder = tmp_path / f"host{len(hosts)}"
        folder.mkdir()
        hosts.append(Host(folder))
        return hosts[-1]

    yield make
    for host in hosts:
        host.dispose()
        if getattr(request.node, "has_failed", False):
            print(f"---- {host.log_path}\n{host.log[-LOG_SHOWN_BYTES:]}")
    for host in hosts:
        host.check_log()


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedFunction]]:
    """Starts scripted functions; they stop at the end."""
    started: list[ScriptedFunction] = []

    def start(answer: Callable[[Call], Reply], **options: Any) -> ScriptedFunction:
        started.append(ScriptedFunction(answer, **options).start())
        return started[-1]

    yield start
    for function in started:
        function.stop()


@pytest.fixture
def serve(
    make_host: Callable[[], Host], scripted: Callable[..., ScriptedFunction]
) -> Callable[..., tuple[Host, ScriptedFunction]]:
    """Starts a scripted function for test/* and other/*, and a host before it that also has the egress test/records."""

    def start(
        answer: Callable[[Call], Reply],
        call: str = "timeout: 30s",
        retry: str = "attempts: 1000",
        options: tuple[str, ...] = (),
        **server: Any,
    ) -> tuple[Host, ScriptedFunction]:
        function = scripted(answer, **server)
        module = SERVED.format(url=function.url, call=call, retry=retry)
        return make_host().configure(module=module, options=options).start(), function

    return start


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PythonFunctions]:
    """The functions of apps/zoo.py, one process for all tests of a worker: they keep nothing themselves."""
    functions = PythonFunctions("zoo:app", tmp_path_factory.mktemp("zoo") / "function.log").start()
    yield functions
    functions.kill()


@pytest.fixture
def own_functions(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], PythonFunctions]]:
    """Starts function processes that a test may kill."""
    started: list[PythonFunctions] = []

    def start(app: str = "zoo:app") -> PythonFunctions:
        started.append(PythonFunctions(app, tmp_path / f"function{len(started)}.log").start())
        return started[-1]

    yield start
    for functions in started:
        functions.kill()
        if getattr(request.node, "has_failed", False):
            print(f"---- {functions.log_path}\n{functions.log_path.read_text(errors='replace')[-LOG_SHOWN_BYTES:]}")


@pytest.fixture
def host(make_host: Callable[[], Host], zoo: PythonFunctions) -> Iterator[Host]:
    """A host that serves the zoo and has one egress."""
    running = make_host().configure({"zoo/*": zoo.url}, egresses=("zoo/records",)).start()
    yield running
    if running.process is not None:
        running.stop()
