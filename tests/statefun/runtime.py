# SPDX-License-Identifier: Apache-2.0
"""StateFun's own runtime in a JVM of its own, spoken to in lines of text (java/, LinesModule).

Not here: what runs on it, and how its packages come (setup.sh).
"""

from __future__ import annotations

import base64
import itertools
import subprocess
from collections.abc import Iterable
from pathlib import Path

from harness import wait_until
from proa import _wire_pb2 as wire

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / "build/statefun"
JAVA = ROOT / "tests/statefun/java"
START_S = 120.0
LIFE_S = 600  # it ends by itself then, whatever became of the test
MODULE = """
kind: io.statefun.endpoints.v2/http
spec:
  functions: {functions}
  urlPathTemplate: {url}
  transport:
    type: io.statefun.transports.v1/async
    connect: 2s
    call: {call}
---
"""
Record = wire.TypedValue


def missing(what: str = "runtime") -> str:
    """Why it, or the function server of the benchmark, cannot be had here; empty if it can."""
    reason = ENVIRONMENT / f"{what}.missing"
    if reason.exists():
        return reason.read_text().strip()
    assert (ENVIRONMENT / f"{what}.stamp").exists(), "run tests/statefun/setup.sh bench first"
    return ""


class Runtime:
    """One JVM with one job. What it is sent stands in a file, and what it emits in another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log_path = folder / "runtime.log"
        self.input, self.output = folder / "input", folder / "output"
        self.process: subprocess.Popen[bytes] | None = None
        self._invocations = itertools.count(1)

    def start(self, endpoints: Iterable[tuple[str, str]], egresses: Iterable[str], call: str = "60s") -> Runtime:
        """Starts it with endpoints (functions, URL); `call` is how long a failing call is repeated."""
        module = self.folder / "statefun.yaml"
        module.write_text("".join(MODULE.format(functions=names, url=url, call=call) for names, url in endpoints))
        self.input.touch()
        self.output.touch()
        runtime = ENVIRONMENT / "runtime"
        classes = f"{runtime}/classes:{JAVA}/src/main/resources:{runtime}/dependency/*"
        command = ["timeout", "--kill-after=5", str(LIFE_S), "java", f"@{JAVA}/java.options", "-Xmx512m"]
        command += ["-XX:+UseSerialGC", f"-Djava.io.tmpdir={self.folder}", "-cp", classes]
        options = {"module": module.as_uri(), "checkpoints": (self.folder / "checkpoints").as_uri()}
        options |= {"input": str(self.input), "output": str(self.output), "egresses": ",".join(egresses)}
        arguments = [f"{name}={value}" for name, value in options.items()]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "statefun.RuntimeHost", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def stop(self) -> None:
        """Ends it; no effect if it does not run."""
        if self.process is not None:
            self.process.terminate()  # `timeout` passes it on
            self.process.wait(30)
            self.process = None

    def send(self, target: str, argument: Record) -> None:
        """Sends a message that nobody waits for; `target` is namespace/name/id."""
        self._write(target, argument)

    def ask(self, target: str, argument: Record) -> str:
        """Sends a message with an ask's caller; the id that its answer will have."""
        invocation = f"{next(self._invocations):032x}"
        self._write(target, argument, invocation)
        return invocation

    def answer(self, target: str, argument: Record) -> Record:
        """Asks, and waits for the answer."""
        invocation = self.ask(target, argument)
        return wait_until(lambda: self.answers().get(invocation), f"{target} answers", START_S)

    def answers(self) -> dict[str, Record]:
        """Every answer so far, by the id of its ask; the first one counts."""
        found: dict[str, Record] = {}
        for record in self.records("proa/replies"):
            reply = wire.FromFunction.Invocation.FromString(record.value)
            found.setdefault(reply.target.id, reply.argument)
        return found

    def records(self, egress: str) -> list[Record]:
        """What came out of an egress so far."""
        assert self.process is None or self.process.poll() is None, self.log_path.read_text()[-4000:]
        whole = self.output.read_text().rpartition("\n")[0].splitlines()
        words = (line.split(" ") for line in whole)
        return [Record.FromString(base64.b64decode(data)) for name, data in words if name == egress]

    def _write(self, target: str, argument: Record, invocation: str = "") -> None:
        message = wire.FromFunction.Invocation(argument=argument)
        message.target.namespace, message.target.type, message.target.id = target.split("/", 2)
        line = " ".join(filter(None, (base64.b64encode(message.SerializeToString()).decode(), invocation)))
        with self.input.open("a") as file:
            file.write(line + "\n")
