# SPDX-License-Identifier: Apache-2.0
"""Fixtures: hosts and function programs that a test starts, and that end with it; logs are shown if it failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Host, ScriptedFunction
from harness.function import Call, Reply
from languages import LANGUAGES, Language, Program

LOG_SHOWN_BYTES = 6000


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Iterator[None]:
    """Leaves word on the test item whether it failed."""
    outcome = yield
    report = outcome.get_result()
    item.has_failed = getattr(item, "has_failed", False) or report.failed


@pytest.fixture
def show_logs(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], None]]:
    """Takes the paths of logs that are shown should the test fail."""
    paths: list[Path] = []
    yield paths.append
    if getattr(request.node, "has_failed", False):
        for path in (path for path in paths if path.exists()):
            print(f"---- {path}\n{path.read_text(errors='replace')[-LOG_SHOWN_BYTES:]}")


@pytest.fixture
def host(tmp_path: Path, show_logs: Callable[[Path], None]) -> Iterator[Host]:
    """A host that has not been started yet."""
    host = Host(tmp_path)
    yield host
    host.dispose()
    show_logs(host.log_path)
    host.check_log()


@pytest.fixture(params=list(LANGUAGES))
def language(request: pytest.FixtureRequest) -> Language:
    """Each language; skipped with the reason if it cannot be installed here."""
    found = LANGUAGES[request.param]
    if found.missing:
        pytest.skip(f"{found.name}: {found.missing}")
    return found


@pytest.fixture(scope="session")
def shared_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Language], Program]]:
    """Gives a program's process that all tests of this worker share: it keeps nothing itself."""
    programs: dict[str, Program] = {}

    def get(language: Language) -> Program:
        if language.name not in programs:
            log_path = tmp_path_factory.mktemp(language.name) / "function.log"
            programs[language.name] = Program(language, log_path).start()
        return programs[language.name]

    yield get
    for program in programs.values():
        program.kill()


@pytest.fixture
def own_program(tmp_path: Path, show_logs: Callable[[Path], None]) -> Iterator[Callable[[Language], Program]]:
    """Makes programs, not started yet, that a test may kill."""
    programs: list[Program] = []

    def make(language: Language) -> Program:
        programs.append(Program(language, tmp_path / f"{language.name}.log"))
        return programs[-1]

    yield make
    for program in programs:
        program.kill()
        show_logs(program.log_path)


@pytest.fixture
def scripted() -> Iterator[Callable[[Callable[[Call], Reply]], ScriptedFunction]]:
    """Starts scripted functions; they stop at the end."""
    started: list[ScriptedFunction] = []

    def start(answer: Callable[[Call], Reply]) -> ScriptedFunction:
        started.append(ScriptedFunction(answer).start())
        return started[-1]

    yield start
    for function in started:
        function.stop()
