# SPDX-License-Identifier: Apache-2.0
"""The function programs, one a language: what is to be had here, and processes of them.

Not here: what a program does (functions/README.md), how its packages come (setup.sh).
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ROOT / "build/interop"
FUNCTIONS = Path(__file__).resolve().parent / "functions"


@dataclass(frozen=True)
class Language:
    """A program and its SDK. What the SDK cannot do stands here, so that tests ask for no more."""

    name: str
    command: tuple[str, ...]  # without its arguments; paths from the project's root
    environment: tuple[tuple[str, str], ...] = ()
    has_wide_types: bool = True  # long and double
    throws_on_foreign_state: bool = True  # reading a state value of another type than it declared
    keeps_unknown_fields: bool = True  # of a value it passes on
    limits_bodies: bool = False  # its server takes requests of 1 MiB at most

    @property
    def function(self) -> str:
        """The function type it serves."""
        return f"interop/{self.name}"

    @property
    def missing(self) -> str:
        """Why it cannot be tested here; empty if it can."""
        reason = ENVIRONMENTS / f"{self.name}.missing"
        if reason.exists():
            return reason.read_text().strip()
        assert (ENVIRONMENTS / f"{self.name}.stamp").exists(), "run tests/interop/setup.sh first"
        return ""


PYTHON = str(FUNCTIONS / "python/interpreter.py")
LANGUAGES = {
    language.name: language
    for language in (
        Language("py33", ("build/interop/py33/bin/python", PYTHON), limits_bodies=True),
        Language("py35", ("build/interop/py35/bin/python", PYTHON), limits_bodies=True),
        Language(
            "js",
            ("node", str(FUNCTIONS / "js/interpreter.js")),
            environment=(("NODE_PATH", str(ENVIRONMENTS / "js/node_modules")),),
            has_wide_types=False,
            keeps_unknown_fields=False,
        ),
        Language(
            "java",
            ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx128m", "-cp")
            + (f"{ENVIRONMENTS}/java/classes:{ENVIRONMENTS}/java/dependency/*", "interop.Interpreter"),
            keeps_unknown_fields=False,
        ),
        Language("go", ("build/interop/go/interpreter",), throws_on_foreign_state=False),
    )
}


class Program:
    """A process of one language's program; it may be killed and started again on its port."""

    def __init__(self, language: Language, log_path: Path) -> None:
        self.language = language
        self.log_path = log_path
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/statefun"
        self.process: subprocess.Popen[bytes] | None = None

    def spawn(self, count_type: str = "int") -> Program:
        """Starts it without waiting."""
        assert self.process is None
        arguments = [*self.language.command, self.language.name, str(self.port), count_type]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                arguments,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **dict(self.language.environment)},
            )
        return self

    def await_start(self) -> Program:
        """Waits until it listens."""
        wait_until(self._listens, f"{self.language.name} listens on port {self.port}")
        return self

    def start(self, count_type: str = "int") -> Program:
        """Starts it and waits until it listens."""
        return self.spawn(count_type).await_start()

    def kill(self) -> None:
        """Ends it as a crash does; no effect if it does not run."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _listens(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log_path.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


Start = Callable[[Language], Program]
