# SPDX-License-Identifier: Apache-2.0
"""The host under test: the real binary on free ports, in a data folder of the test's own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .http import Answer, request
from .wait import DEADLINE_S, wait_until

SANITIZER = re.compile(r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|check failed")
Metrics = dict[str, float]


class HostFailed(AssertionError):
    """The host ended where it should run, or said something only a defect makes it say."""


def _ports(text: str) -> list[int]:
    return [int(port) for port in text.split()]


def binary() -> str:
    """The host to test: PROA_BINARY, or what `./run build` made."""
    default = Path(__file__).resolve().parents[3] / "build/proa"
    return os.environ.get("PROA_BINARY", str(default))


class Host:
    """One data folder and, while it runs, the process that holds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log_path = folder / "host.log"
        self.arguments: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.wanted_ports = ("0", "0")
        self.prefix: list[str] = []  # a command that becomes the host's in the end
        self.ingress_port = 0
        self.admin_port = 0
        self.playground_ingress_ports: list[int] = []
        self.playground_egress_ports: list[int] = []
        self._log_begin = 0

    # ---- life ---------------------------------------------------------------------------------------------

    def configure(
        self,
        functions: Mapping[str, str] | None = None,
        module: str | None = None,
        egresses: tuple[str, ...] = (),
        options: tuple[str, ...] = (),
    ) -> Host:
        """Says what to serve: functions by URL, the text of a module file, egresses, more options."""
        self.arguments = []
        if module is not None:
            path = self.folder / "module.yaml"
            path.write_text(module)
            self.arguments += ["--module", str(path)]
        for pattern, url in (functions or {}).items():
            self.arguments += ["--function", f"{pattern}={url}"]
        for egress in egresses:
            self.arguments += ["--egress", egress]
        self.arguments += options
        return self

    def spawn(self, environment: Mapping[str, str] | None = None, stderr: int | None = None) -> None:
        """Starts the process without waiting for anything."""
        assert self.process is None, "the host runs already"
        ingress, admin = self.wanted_ports
        command = [
            *self.prefix,
            binary(),
            "serve",
            "--data",
            str(self.data),
            "--ingress-port",
            ingress,
            "--admin-port",
            admin,
        ]
        self._log_begin = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log if stderr is None else stderr,
                env={**os.environ, **(environment or {})},
            )

    def start(self, environment: Mapping[str, str] | None = None) -> Host:
        """Starts the process and waits until it takes messages."""
        self.spawn(environment)
        ready = wait_until(lambda: self._event("host.ready"), "the host says host.ready")
        self.ingress_port, self.admin_port = ready["ingress_port"], ready["admin_port"]
        self.playground_ingress_ports = _ports(ready.get("playground_ingress_ports", ""))
        self.playground_egress_ports = _ports(ready.get("playground_egress_ports", ""))
        wait_until(self.is_ready, "/readyz answers 200")
        return self

    def is_ready(self) -> bool:
        """True once /readyz answers 200."""
        self._assert_runs()
        return self.admin("/readyz").status == 200

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """Waits for the process to end by itself; returns its exit status."""
        assert self.process is not None
        status = self.process.wait(deadline_s)
        self.process = None
        self.check_log()
        return status

    def terminate(self) -> None:
        """Sends SIGTERM and returns at once."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Stops it as an operator does; it must end with status 0."""
        self.terminate()
        status = self.wait()
        if status != 0:
            raise HostFailed(f"the host ended with status {status} after SIGTERM")

    def kill(self) -> None:
        """Ends it as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None
        self.check_log()

    def restart(self) -> Host:
        """A crash and a start."""
        self.kill()
        return self.start()

    def dispose(self) -> None:
        """Ends it whatever its state."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    # ---- what it says -------------------------------------------------------------------------------------

    @property
    def log(self) -> str:
        """All it logged, over all its starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def events(self) -> list[dict[str, Any]]:
        """The log lines since the last start."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_begin)
            lines = log.read().split(b"\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def check_log(self) -> None:
        """HostFailed if a sanitizer or a failed check spoke."""
        if found := SANITIZER.search(self.log):
            raise HostFailed(f"the log speaks of a defect: {self.log[max(0, found.start() - 200) :][:4000]}")

    def _event(self, name: str) -> dict[str, Any] | None:
        self._assert_runs()
        return next((event for event in self.events() if event["event"] == name), None)

    def _assert_runs(self) -> None:
        assert self.process is not None
        if self.process.poll() is not None:
            raise HostFailed(f"the host ended with status {self.process.returncode}: {self.log[-2000:]}")

    # ---- its APIs -----------------------------------------------------------------------------------------

    def admin(self, path: str) -> Answer:
        """GET of the admin API."""
        return request(self.admin_port, "GET", path)

    def metrics(self) -> Metrics:
        """Every metric without labels, by name."""
        values = {}
        for line in self.admin("/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def await_metrics(self, condition: Callable[[Metrics], bool], what: str) -> Metrics:
        """Waits until the metrics are so."""
        last: Metrics = {}

        def is_so() -> bool:
            nonlocal last
            self._assert_runs()
            last = self.metrics()
            return condition(last)

        try:
            wait_until(is_so, what)
        except AssertionError as error:
            shown = {name: value for name, value in last.items() if value and "bucket" not in name}
            raise AssertionError(f"{error}; the metrics are {shown}") from None
        return last

    def await_metric(self, name: str, value: float) -> Metrics:
        """Waits until one metric has this value."""
        return self.await_metrics(lambda metrics: metrics[name] == value, f"{name} is {value:g}")

    def await_idle(self) -> Metrics:
        """Waits until no message is anywhere but in parked and outbox."""
        names = ("proa_mailbox_messages", "proa_timers", "proa_calls_in_flight", "proa_promises_waiting")
        return self.await_metrics(lambda metrics: all(metrics[name] == 0 for name in names), "all work is done")

    def ask(self, target: str, value: Any = None, *, query: str = "", **more: Any) -> Answer:
        """POST /v1/ask with a JSON body."""
        return self._post("ask", target, value, query, **more)

    def send(self, target: str, value: Any = None, *, query: str = "", **more: Any) -> Answer:
        """POST /v1/send with a JSON body."""
        return self._post("send", target, value, query, **more)

    def _post(
        self,
        verb: str,
        target: str,
        value: Any,
        query: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        if body is None:
            body = json.dumps(value).encode()
            headers = {"Content-Type": "application/json", **(headers or {})}
        path = f"/v1/{verb}/{target}" + (f"?{query}" if query else "")
        answer = request(self.ingress_port, "POST", path, body, headers)
        assert re.fullmatch("[0-9a-f]{32}", answer.headers.get("proa-invocation", "")), answer
        return answer

    def egress(self, name: str) -> list[dict[str, Any]]:
        """What `proa egress` prints of the stopped host, one object a record."""
        assert self.process is None, "only a stopped host's outbox can be printed"
        command = [binary(), "egress", name, "--data", str(self.data)]
        done = subprocess.run(command, capture_output=True, check=True, timeout=120)
        return [json.loads(line) for line in done.stdout.splitlines()]
