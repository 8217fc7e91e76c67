# SPDX-License-Identifier: Apache-2.0
"""Fixtures: both hosts and the functions behind them. They end with the test; what they print shows if it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import runtime
from harness import Host, PythonFunctions
from harness.function import APPS

LOG_SHOWN_BYTES = 6000


def show(path: Path) -> None:
    """Prints the end of a log."""
    if path.exists():
        print(f"---- {path}\n{path.read_text(errors='replace')[-LOG_SHOWN_BYTES:]}")


@pytest.fixture
def statefun(tmp_path: Path) -> Iterator[runtime.Runtime]:
    """StateFun's runtime, not started yet; skipped with the reason if it cannot be had here."""
    if runtime.missing():
        pytest.skip(runtime.missing())
    folder = tmp_path / "statefun"
    folder.mkdir()
    host = runtime.Runtime(folder)
    yield host
    host.stop()
    show(host.log_path)


@pytest.fixture
def proa_host(tmp_path: Path) -> Iterator[Host]:
    """A Proa host, not started yet."""
    host = Host(tmp_path)
    yield host
    host.dispose()
    show(host.log_path)
    host.check_log()


@pytest.fixture
def functions(tmp_path: Path) -> Iterator[Callable[..., PythonFunctions]]:
    """Starts function processes."""
    started: list[PythonFunctions] = []

    def start(app: str, folder: Path = APPS) -> PythonFunctions:
        log_path = tmp_path / f"{app.partition(':')[0]}.log"
        started.append(PythonFunctions(app, log_path, folder).start())
        return started[-1]

    yield start
    for process in started:
        process.kill()
        show(process.log_path)


@pytest.fixture
def counter(functions: Callable[..., PythonFunctions]) -> PythonFunctions:
    """The counter of the README."""
    return functions("counter:app", runtime.ROOT / "examples/counter")


@pytest.fixture
def programs(functions: Callable[..., PythonFunctions]) -> PythonFunctions:
    """apps/programs.py of the end-to-end tests."""
    return functions("programs:app")


@pytest.fixture
def zoo(functions: Callable[..., PythonFunctions]) -> PythonFunctions:
    """apps/zoo.py of the end-to-end tests."""
    return functions("zoo:app")
