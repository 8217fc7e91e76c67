#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts Proa and StateFun's own runtime side by side: the same Java function, the same loads, in one run.

Rounds of one and the other alternate; of each the median is told. `./run bench --statefun --smoke` is the short form.
docs/performance.md says what each line means and where the two promise different things.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import bench

STATEFUN = bench.ROOT / "build/statefun"
RESOURCES = bench.HERE / "java/src/main/resources"
RUNTIME = bench.ROOT / "tests/statefun/java"
ASKS_IN_FLIGHT = 64
SENDERS = 256  # connections of the flood from outside
SPOUTS = 20  # messages of the flood from within; each makes one for every id
DRAIN_S = 60.0
QUIET_S = 1.0  # after which a flood of unknown size is taken to be over
LONG_QUIET_S = 20.0  # after which one of known size is not going to be; a collection of garbage takes seconds
STATEFUN_MODULE = """
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: {url}
  transport:
    type: io.statefun.transports.v1/async
    pool_size: 1024
    call: 60s
"""
PROA_MODULE = """
kind: proa.v1/endpoint
spec:
  functions:
    example/*: {{takes: io.statefun.types/long}}
  url: {url}
"""
FSYNC = "an fsync"
NOTHING = "nothing is written"
NO_FSYNC = "a checkpoint, no fsync"


# ---- what is told --------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """One round of one host under one load, or the median of many."""

    load: str
    host: str
    per_s: float
    p50_ms: float | None  # None: nobody waits for an answer
    p99_ms: float | None
    host_cpu_us: float  # a message
    function_cpu_us: float
    wrk_cpu_us: float | None  # None: the load is made within the host or the function
    host_memory_mb: float
    before_answer: str  # what happens before an answer leaves


def show_heading() -> None:
    """The heading of show_run's lines."""
    print(
        "\nload                 host                          per s   p50 ms   p99 ms     CPU us a message       memory"
    )
    print("                                                                             host function     wrk       MB")


def show_run(run: Run) -> None:
    """One line of the table."""
    print(
        f"{run.load:<20} {run.host:<24} {run.per_s:>10,.0f} {shown(run.p50_ms, 2):>8} {shown(run.p99_ms, 2):>8}"
        f" {run.host_cpu_us:>8.1f} {run.function_cpu_us:>8.1f} {shown(run.wrk_cpu_us, 1):>7}"
        f" {run.host_memory_mb:>8.0f}   {run.before_answer}",
        flush=True,
    )


def shown(value: float | None, digits: int) -> str:
    """A figure that may not be there."""
    return "-" if value is None else f"{value:.{digits}f}"


def median(rounds: list[Run]) -> Run:
    """The round in the middle by rate."""
    return sorted(rounds, key=lambda run: run.per_s)[len(rounds) // 2]


# ---- the function --------------------------------------------------------------------------------------------------


@dataclass
class Function:
    """The process both hosts call."""

    pid: int
    url: str

    def handled(self) -> int:
        """How many messages its counter has handled: the yardstick of floods, the same for both hosts."""
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            return int(answer.read())


@contextlib.contextmanager
def java_function(work: Path) -> Iterator[Function]:
    """CounterServer in a JVM of its own."""
    folder = STATEFUN / "bench"
    command = ["java", "-Xms64m", "-Xmx512m", "-cp", f"{folder}/classes:{folder}/dependency/*", "bench.CounterServer"]
    with bench.port_printer(command, work) as (process, port):
        yield Function(process.pid, f"http://127.0.0.1:{port}/")


# ---- the hosts -----------------------------------------------------------------------------------------------------


class Host(Protocol):
    """What takes a load. Every method returns once the load is over."""

    name: str
    pid: int

    def ask(self, seconds: float) -> dict[str, Any]:
        """ASKS_IN_FLIGHT asks at any time: `answers`, `seconds`, `p50_ms`, `p99_ms`, and `wrk_cpu_s` if wrk asked."""
        ...

    def flood(self, seconds: float) -> dict[str, Any]:
        """As many messages as it takes; the same of its acknowledgements, or nothing if it makes none."""
        ...

    def burst(self, spouts: int) -> None:
        """Has spouts make messages, and does not wait for those."""
        ...


class Proa:
    """A Proa host, spoken to over HTTP."""

    name = "Proa"

    def __init__(self, options: argparse.Namespace, pid: int, port: int) -> None:
        self.options = options
        self.pid = pid
        self.port = port

    def ask(self, seconds: float) -> dict[str, Any]:
        return self._load(ASKS_IN_FLIGHT, seconds, "ask")

    def flood(self, seconds: float) -> dict[str, Any]:
        return self._load(SENDERS, seconds, "send")

    def burst(self, spouts: int) -> None:
        end = time.monotonic() + DRAIN_S
        spout = 0
        while spout < spouts:
            spout += self._is_taken(f"example/spout/{spout}", self.options.ids)
            if time.monotonic() > end:
                raise bench.BenchError("Proa took no more messages")

    def _is_taken(self, target: str, number: int) -> bool:
        """Sends one message; False if the host, busy with what it has, asks to send it again."""
        headers = {"Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.port}/v1/send/{target}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, str(number).encode(), headers), timeout=10):
                return True
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(0.01)
            return False

    def _load(self, connections: int, seconds: float, verb: str) -> dict[str, Any]:
        said, cpu = bench.run_wrk(self.options, self.port, connections, seconds, f"/v1/{verb}/example/counter/")
        if errors := sum(said["errors"].values()):
            raise bench.BenchError(f"{errors} requests to Proa failed: {said}")
        return {**said, "wrk_cpu_s": cpu}


class StateFun:
    """StateFun's runtime, whose load is made in its own process, as it does best."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, asks: str) -> None:
        self.name = name
        self.process = process
        self.pid = process.pid
        self.asks = asks

    def ask(self, seconds: float) -> dict[str, Any]:
        return self.say(f"{self.asks} {ASKS_IN_FLIGHT} {seconds}")

    def flood(self, seconds: float) -> dict[str, Any]:
        return self.say(f"flood {seconds}")

    def burst(self, spouts: int) -> None:
        self.say(f"burst {spouts}")

    def say(self, command: str) -> dict[str, Any]:
        """Has its LoadHost do something; what that says."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise bench.BenchError("StateFun's runtime ended; its log is statefun.log")
        return dict(json.loads(line))


@contextlib.contextmanager
def proa(options: argparse.Namespace, work: Path, name: str, function: Function) -> Iterator[Proa]:
    """A Proa host with a fresh data folder, warm."""
    module = work / "proa.yaml"
    module.write_text(PROA_MODULE.format(url=function.url))
    with bench.host(options.binary, work, name, "--module", str(module)) as (process, ports):
        yield Proa(options, process.pid, ports["ingress_port"])


@contextlib.contextmanager
def statefun(work: Path, function: Function, *, asks: str, interval: str, buffer: str, name: str) -> Iterator[StateFun]:
    """StateFun's runtime with checkpoints every `interval`, warm once it has answered."""
    module = work / "statefun.yaml"
    module.write_text(STATEFUN_MODULE.format(url=function.url))
    classes = [STATEFUN / "bench/classes", STATEFUN / "runtime/classes", RESOURCES, STATEFUN / "runtime/dependency/*"]
    logging = RUNTIME / "src/main/resources/log4j.properties"
    command = ["java", f"@{RUNTIME}/java.options", "-Xms512m", "-Xmx2g", f"-Djava.io.tmpdir={work}"]
    command += [f"-Dlog4j.configuration={logging.as_uri()}", "-cp", ":".join(map(str, classes)), "bench.LoadHost"]
    command += [
        f"module={module.as_uri()}",
        f"checkpoints={(work / 'checkpoints').as_uri()}",
        f"interval={interval}",
        f"buffer={buffer}",
    ]
    log = work / "statefun.log"
    with bench.running(command, log, subprocess.PIPE, subprocess.PIPE) as process:
        host = StateFun(process, name, asks)
        end = time.monotonic() + bench.START_S
        while not host.say("ask 1 0.5")["answers"]:
            if time.monotonic() > end:
                raise bench.BenchError(f"StateFun's runtime does not answer: {log.read_text()[-2000:]}")
        yield host


def memory_mb(pid: int) -> float:
    """The resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


# ---- the loads -----------------------------------------------------------------------------------------------------


def measure(load: str, host: Host, function: Function, before_answer: str, run: Callable[[], dict[str, Any]]) -> Run:
    """One round: `run` makes the load and says `count` and `seconds`, and what else it knows."""
    cpu = [bench.cpu_seconds(pid) for pid in (host.pid, function.pid)]
    said = run()
    spent = [bench.cpu_seconds(pid) - start for pid, start in zip((host.pid, function.pid), cpu, strict=True)]
    count = max(1, said["count"])
    return Run(
        load=load,
        host=host.name,
        per_s=said["count"] / said["seconds"],
        p50_ms=said.get("p50_ms"),
        p99_ms=said.get("p99_ms"),
        host_cpu_us=spent[0] * 1e6 / count,
        function_cpu_us=spent[1] * 1e6 / count,
        wrk_cpu_us=said["wrk_cpu_s"] * 1e6 / count if "wrk_cpu_s" in said else None,
        host_memory_mb=memory_mb(host.pid),
        before_answer=before_answer,
    )


def asks(host: Host, seconds: float) -> dict[str, Any]:
    """Asks."""
    said = host.ask(seconds)
    return {**said, "count": said["answers"]}


def flood_from_outside(host: Host, function: Function, seconds: float) -> dict[str, Any]:
    """Messages as fast as they are taken, until the last of them has been handled."""
    before, began = function.handled(), time.monotonic()
    said = host.flood(seconds)
    handled, ended = await_quiet(function)
    return {**said, "count": handled - before, "seconds": ended - began}


def flood_from_within(host: Host, function: Function, spouts: int, ids: int) -> dict[str, Any]:
    """A few messages to spouts, each of which makes one for every id, until the last of those has been handled."""
    before, began = function.handled(), time.monotonic()
    host.burst(spouts)
    handled, ended = await_quiet(function, before + spouts * ids)
    if handled - before != spouts * ids:
        raise bench.BenchError(f"{host.name} made {handled - before} calls for {spouts * ids} messages")
    return {"count": handled - before, "seconds": ended - began}


def await_quiet(function: Function, wanted: int | None = None) -> tuple[int, float]:
    """Waits until the counter has handled what is wanted, or else nothing for a while; its count, and since when."""
    quiet_s = QUIET_S if wanted is None else LONG_QUIET_S
    count, since = function.handled(), time.monotonic()
    end = since + DRAIN_S
    while count != wanted and time.monotonic() < min(since + quiet_s, end):
        time.sleep(0.02)
        now = function.handled()
        if now != count:
            count, since = now, time.monotonic()
    if time.monotonic() >= end:
        raise bench.BenchError(f"messages were still being handled {DRAIN_S:.0f} s after the last was sent")
    return count, since


Round = Callable[[Host], Run]


@contextlib.contextmanager
def stopped(hosts: list[Host]) -> Iterator[None]:
    """Hosts that are not to run for the time of the block: an idle JVM takes a tenth of a core."""
    try:
        for host in hosts:
            os.kill(host.pid, signal.SIGSTOP)
        yield
    finally:
        for host in hosts:
            os.kill(host.pid, signal.SIGCONT)


def alternate(hosts: list[Host], rounds: int, run: Round) -> list[Run]:
    """The median of each host's rounds, which take turns; told at once."""
    found: dict[str, list[Run]] = {host.name: [] for host in hosts}
    for host in hosts * rounds:
        with stopped([other for other in hosts if other is not host]):
            found[host.name].append(run(host))
    medians = [median(found[host.name]) for host in hosts]
    for one in medians:
        show_run(one)
    return medians


def measure_asks(options: argparse.Namespace, work: Path, function: Function) -> list[Run]:
    """Asks: both hosts in turn."""
    with (
        proa(options, work, "asks", function) as ours,
        statefun(work, function, asks="ask", interval="1 s", buffer="0 ms", name="StateFun, at once") as theirs,
    ):
        theirs.ask(options.warm_up)
        ours.ask(options.seconds)
        before_answer = {ours.name: FSYNC, theirs.name: NOTHING}
        label = f"{ASKS_IN_FLIGHT} asks in flight"

        def run(host: Host) -> Run:
            return measure(label, host, function, before_answer[host.name], lambda: asks(host, options.seconds))

        return alternate([ours, theirs], options.rounds, run)


def measure_durable_asks(options: argparse.Namespace, work: Path, function: Function) -> list[Run]:
    """Asks whose answer waits for a checkpoint: its interval is what decides, so no rounds."""
    name = "StateFun, at checkpoint"
    with statefun(work, function, asks="durable", interval="100 ms", buffer="0 ms", name=name) as host:
        host.ask(options.seconds)
        label = f"{ASKS_IN_FLIGHT} asks in flight"
        run = measure(label, host, function, NO_FSYNC, lambda: asks(host, options.seconds))
        show_run(run)
        return [run]


def measure_floods(options: argparse.Namespace, work: Path, function: Function) -> list[Run]:
    """Both floods: both hosts in turn."""
    with (
        proa(options, work, "floods", function) as ours,
        statefun(work, function, asks="ask", interval="1 s", buffer="100 ms", name="StateFun") as theirs,
    ):
        for host, seconds in ((theirs, options.warm_up / 2), (ours, options.seconds)):
            host.flood(seconds)
            host.burst(SPOUTS)
            await_quiet(function)

        def outside(host: Host) -> Run:
            before_answer = FSYNC if host is ours else NOTHING
            seconds = options.seconds
            return measure(
                "flood from outside",
                host,
                function,
                before_answer,
                lambda: flood_from_outside(host, function, seconds),
            )

        def within(host: Host) -> Run:
            return measure(
                "flood from within", host, function, "-", lambda: flood_from_within(host, function, SPOUTS, options.ids)
            )

        return [run for kind in (outside, within) for run in alternate([ours, theirs], options.rounds, kind)]


# ---- main ----------------------------------------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="short runs, to see that all of it works")
    parser.add_argument("--seconds", type=float, help="length of one round (6; with --smoke 1)")
    parser.add_argument("--rounds", type=int, help="rounds of each host; their median is told (3; with --smoke 1)")
    parser.add_argument("--only", default="raw,asks,durable,floods", help="what to measure, with commas, out of these")
    parser.add_argument("--data", type=Path, help="where the data folders go (the build folder)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there as JSON; - is standard output")
    parser.add_argument("--binary", type=Path, default=bench.ROOT / "build/proa", help="the host")
    parser.add_argument("--build-dir", type=Path, default=bench.ROOT / "build/bench", help="meson's folder")
    options = parser.parse_args()
    options.seconds = options.seconds or (1.0 if options.smoke else 6.0)
    options.rounds = options.rounds or (1 if options.smoke else 3)
    options.warm_up = 1.0 if options.smoke else 30.0  # of a JVM, which goes on getting faster for so long
    options.ids = 10_000
    options.only = options.only.split(",")
    options.programs = options.build_dir / "tests/bench"
    return options


def measure_all(options: argparse.Namespace, work: Path) -> tuple[dict[str, float], list[Run]]:
    """All that was asked for, told as it comes."""
    raw: dict[str, float] = {}
    if "raw" in options.only:
        raw = bench.measure_raw(options, work)
        bench.show_raw(raw)
    show_heading()
    loads = {"asks": measure_asks, "durable": measure_durable_asks, "floods": measure_floods}
    with java_function(work) as function:
        return raw, [
            run for name, load in loads.items() if name in options.only for run in load(options, work, function)
        ]


def main() -> int:
    """Returns the exit status."""
    options = parse_arguments()
    for name in ("runtime", "bench"):
        missing = STATEFUN / f"{name}.missing"
        if missing.exists():
            print(f"bench: StateFun cannot be measured here: {missing.read_text().strip()}", file=sys.stderr)
            return 2
    where = (options.data or options.build_dir).resolve()  # Flink wants URIs
    with tempfile.TemporaryDirectory(prefix="proa-bench-", dir=where) as folder:
        try:
            raw, runs = measure_all(options, Path(folder))
        except (bench.BenchError, OSError, subprocess.SubprocessError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 2
    if options.json:
        text = json.dumps({"raw": raw, "runs": [asdict(run) for run in runs]}, indent=1) + "\n"
        sys.stdout.write(text) if options.json == "-" else Path(options.json).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
