#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures asks per second, their latency and their CPU, beside what disk and libraries allow by themselves.

One run tells little about a machine that others share: medians of interleaved runs do, and every figure is to be
read beside the raw limits of the same run. `./run bench --smoke` is the short form.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
START_S = 60.0
STALL_MS = 10_000.0
ASK_PATH = "/v1/ask/example/counter/"


class BenchError(Exception):
    """Something did not start, or did not end as it should."""


# ---- processes -----------------------------------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


@contextlib.contextmanager
def running(
    command: list[str], log: Path, stdout: int | None = None, stdin: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """A process for the time of the block; ended by SIGTERM, its log kept in the work folder."""
    with log.open("ab") as sink:
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout or sink, stderr=sink)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            print(f"{command[0]} did not end within 20 s of SIGTERM", file=sys.stderr)


@contextlib.contextmanager
def port_printer(command: list[str], work: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """One of our small servers, which print {"port": N} once they listen."""
    with running(command, work / f"{Path(command[0]).name}.log", subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise BenchError(f"{command[0]} did not start")
        yield process, json.loads(line)["port"]


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[bytes], what: str, log: Path) -> Any:
    """Waits until condition() gives something."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise BenchError(f"{what}: it ended with status {process.returncode}: {log.read_text()[-2000:]}")
        if value := condition():
            return value
        time.sleep(0.02)
    raise BenchError(f"{what}: not within {START_S:.0f} s: {log.read_text()[-2000:]}")


def answers(url: str) -> bool:
    """True if a GET is answered, whatever with."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return error.code != 503
    except OSError:
        return False


@contextlib.contextmanager
def host(binary: Path, work: Path, name: str, *serves: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """The host with a fresh data folder and these options, which say what it serves; and what it says of its ports."""
    log = work / f"host-{name}.log"
    command = [str(binary), "serve", "--data", str(work / f"data-{name}"), *serves]
    with running([*command, "--ingress-port", "0", "--admin-port", "0"], log) as process:
        ports = wait_for(lambda: find_ready(log), process, "the host says host.ready", log)
        ready = f"http://127.0.0.1:{ports['admin_port']}/readyz"
        wait_for(lambda: answers(ready), process, "the host is ready", log)
        yield process, ports


def find_ready(log: Path) -> dict[str, Any] | None:
    """The log line in which the host tells its ports."""
    for line in log.read_text(errors="replace").splitlines():
        if "host.ready" in line and line.startswith("{"):
            with contextlib.suppress(json.JSONDecodeError):
                return dict(json.loads(line))
    return None


@contextlib.contextmanager
def python_function(work: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """examples/counter under uvicorn."""
    log = work / "uvicorn.log"
    command = [sys.executable, "-m", "uvicorn", "counter:app", "--app-dir", str(ROOT / "examples/counter")]
    options = ["--host", "127.0.0.1", "--port", "0", "--http", "httptools", "--no-access-log"]
    with running([*command, *options], log) as process:
        port = wait_for(lambda: find_uvicorn_port(log), process, "uvicorn listens", log)
        yield process, port


def find_uvicorn_port(log: Path) -> int | None:
    """The port of "Uvicorn running on http://127.0.0.1:40001 (Press CTRL+C to quit)"."""
    text = log.read_text(errors="replace").partition("running on http://127.0.0.1:")[2]
    digits = text.split(" ")[0].strip()
    return int(digits) if digits.isdigit() else None


# ---- load ----------------------------------------------------------------------------------------------------------


@dataclass
class Load:
    """What a run of wrk said, and what it cost."""

    name: str
    connections: int
    per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: int
    cpu_us: dict[str, float] = field(default_factory=dict)  # per answer, by process


def run_wrk(
    options: argparse.Namespace, port: int, connections: int, seconds: float, path: str = ASK_PATH
) -> tuple[dict[str, Any], float]:
    """One run of requests to `path` and a random id; what its script printed, and the CPU seconds it took."""
    url = f"http://127.0.0.1:{port}"
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds:g}s", "--timeout", "30s"]
    environment = {**os.environ, "BENCH_IDS": str(options.ids), "BENCH_PATH": path}
    before = os.times()
    done = subprocess.run(
        [*command, "-s", str(HERE / "ask.lua"), url],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds + 90,
        text=True,
        check=False,
    )
    after = os.times()
    for line in done.stdout.splitlines():
        if line.startswith("BENCH "):
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            return json.loads(line[6:]), cpu
    raise BenchError(f"wrk said nothing to be used: {done.stdout}{done.stderr}")


def load(
    options: argparse.Namespace, name: str, port: int, connections: int, watched: dict[str, int], seconds: float
) -> Load:
    """One measured run; `watched` are processes by name whose CPU counts."""
    before = {who: cpu_seconds(pid) for who, pid in watched.items()}
    said, wrk_cpu = run_wrk(options, port, connections, seconds)
    count = max(1, said["answers"])
    cpu = {who: (cpu_seconds(pid) - before[who]) * 1e6 / count for who, pid in watched.items()}
    cpu["wrk"] = wrk_cpu * 1e6 / count
    return Load(
        name=name,
        connections=connections,
        per_s=said["answers"] / said["seconds"],
        p50_ms=said["p50_ms"],
        p99_ms=said["p99_ms"],
        max_ms=said["max_ms"],
        errors=sum(said["errors"].values()),
        cpu_us=cpu,
    )


def measure_host(
    options: argparse.Namespace, work: Path, name: str, function: subprocess.Popen[bytes], function_port: int
) -> list[Load]:
    """The host with one function process, at every number of connections."""
    rounds: dict[int, list[Load]] = {connections: [] for connections in options.connections}
    serves = ["--function", f"example/*=http://127.0.0.1:{function_port}/"]
    with host(options.binary, work, name, *serves) as (process, ports):
        port = ports["ingress_port"]
        run_wrk(options, port, 64, options.warm_up)  # every id exists, every connection stands
        for connections in options.connections * options.rounds:
            watched = {"host": process.pid, "function": function.pid}
            seconds = options.seconds if connections <= 256 else min(options.seconds, 3.0)
            rounds[connections].append(load(options, name, port, connections, watched, seconds))
        if process.poll() is not None:
            raise BenchError(f"the host ended with status {process.returncode}")
    runs = [median(rounds[connections]) for connections in options.connections]
    for run in runs:
        show_load(run)
    return runs


def median(runs: list[Load]) -> Load:
    """The run in the middle by asks per second, with the worst of all in what must not happen at all."""
    middle = sorted(runs, key=lambda run: run.per_s)[len(runs) // 2]
    middle.errors = sum(run.errors for run in runs)
    middle.max_ms = max(run.max_ms for run in runs)
    return middle


# ---- raw limits ----------------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    """A protobuf varint."""
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(number: int, body: bytes) -> bytes:
    """A protobuf field of wire type 2."""
    return varint(number << 3 | 2) + varint(len(body)) + body


def sample_call() -> bytes:
    """A call as the host makes it for an ask: one message, one state value."""
    target = message(1, b"example") + message(2, b"counter") + message(3, b"1234")
    caller = message(1, b"proa") + message(2, b"reply") + message(3, b"0123456789abcdef" * 2)
    argument = message(1, b"proa/json") + b"\x10\x01" + message(3, b"1")
    total = message(1, b"io.statefun.types/long") + b"\x10\x01" + message(3, b"\x09" + bytes(8))
    state = message(1, b"total") + message(2, total)
    return message(100, message(1, target) + message(2, state) + message(3, message(1, caller) + message(2, argument)))


def run_json(command: list[str]) -> dict[str, float]:
    """The JSON object a program prints."""
    return dict(json.loads(subprocess.run(command, capture_output=True, timeout=120, check=True).stdout))


def measure_raw(options: argparse.Namespace, work: Path) -> dict[str, float]:
    """What disk, libmicrohttpd and libcurl do by themselves, in this run, on this machine."""
    folder = work / "raw"
    folder.mkdir()
    ms = str(int(options.seconds * 500))
    raw = run_json([str(options.programs / "raw_disk"), str(folder), ms])
    with port_printer([str(options.programs / "raw_http")], work) as (process, port):
        run = load(options, "raw http", port, 64, {"host": process.pid}, options.seconds)
        raw |= {"http_per_s": run.per_s, "http_cpu_us": run.cpu_us["host"]}
    body = work / "call"
    body.write_bytes(sample_call())
    with port_printer([str(options.programs / "fn_server")], work) as (_, port):
        url = f"http://127.0.0.1:{port}/"
        curl = run_json([str(options.programs / "raw_curl"), url, str(body), "64", str(int(options.seconds * 1000))])
        raw |= {"curl_per_s": curl["calls_per_s"], "curl_cpu_us": curl["cpu_us_per_call"]}
    return raw


# ---- telling -------------------------------------------------------------------------------------------------------


def show_raw(raw: dict[str, float]) -> None:
    """The raw limits, as a table."""
    print("raw limits of this run")
    print(f"  fdatasync of one page       {raw['fdatasync_per_s']:>9,.0f} /s")
    print(f"  LMDB commit of one change   {raw['lmdb_commit_per_s']:>9,.0f} /s")
    print(f"  libmicrohttpd, suspended    {raw['http_per_s']:>9,.0f} /s   {raw['http_cpu_us']:5.1f} us CPU")
    print(f"  libcurl multi, 64 at once   {raw['curl_per_s']:>9,.0f} /s   {raw['curl_cpu_us']:5.1f} us CPU")


def show_heading() -> None:
    """The heading of show_load's lines."""
    print("\nasks, durable          connections     asks/s   p50 ms   p99 ms   max ms   errors   CPU us an ask")
    print("                                                                              host function      wrk")


def show_load(run: Load) -> None:
    """One line of the table."""
    cpu = run.cpu_us
    print(
        f"{run.name:<22} {run.connections:>11} {run.per_s:>10,.0f} {run.p50_ms:>8.2f} {run.p99_ms:>8.2f}"
        f" {run.max_ms:>8.1f} {run.errors:>8} {cpu['host']:>8.1f} {cpu['function']:>8.1f} {cpu['wrk']:>8.1f}",
        flush=True,
    )


def find_run(runs: list[Load], name: str, connections: int) -> Load | None:
    """The run of that name and number of connections, if it was made."""
    return next((run for run in runs if run.name == name and run.connections == connections), None)


def missed(runs: list[Load]) -> list[str]:
    """What the promised figures ask for and this run did not give."""
    wants: list[tuple[str, int, str, Callable[[Load], bool], str]] = [
        ("C function", 64, "asks/s", lambda run: run.per_s >= 16_000, "at least 16,000"),
        ("Python function", 64, "asks/s", lambda run: run.per_s >= 4_000, "at least 4,000"),
        ("C function", 1, "p50", lambda run: run.p50_ms < 0.8, "under 0.8 ms"),
        ("C function", 64, "host CPU", lambda run: run.cpu_us["host"] < 45, "under 45 us an ask"),
    ]
    said = []
    for name, connections, what, is_met, asked in wants:
        run = find_run(runs, name, connections)
        if run is not None and not is_met(run):
            said.append(f"{name} at {connections}: {what} is not {asked}")
    return said


def stalled(runs: list[Load]) -> list[str]:
    """Runs in which something failed or stood still."""
    return [
        f"{run.name} at {run.connections}: {run.errors} errors, longest answer {run.max_ms:.0f} ms"
        for run in runs
        if run.errors > 0 or run.max_ms > STALL_MS or run.per_s < 1
    ]


# ---- main ----------------------------------------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    """The options, and the folders they mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="short runs: about a minute in all")
    parser.add_argument(
        "--seconds", type=int, help="length of one run, which wrk takes in whole ones (10; with --smoke 4)"
    )
    parser.add_argument("--rounds", type=int, help="interleaved runs; their median is told (3; with --smoke 1)")
    parser.add_argument("--connections", default="1,64,256,1000", help="numbers of connections, with commas")
    parser.add_argument("--only", default="raw,c,python", help="what to measure, with commas: raw, c, python")
    parser.add_argument("--ids", type=int, default=10_000, help="instances that are asked")
    parser.add_argument("--data", type=Path, help="where the data folders go (the build folder)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there as JSON; - is standard output")
    parser.add_argument("--require", action="store_true", help="fail if the promised figures are missed")
    parser.add_argument("--binary", type=Path, default=ROOT / "build/proa", help="the host")
    parser.add_argument("--build-dir", type=Path, default=ROOT / "build/bench", help="meson's folder with our programs")
    options = parser.parse_args()
    options.seconds = options.seconds or (4 if options.smoke else 10)
    options.rounds = options.rounds or (1 if options.smoke else 3)
    options.warm_up = 2.0 if options.smoke else 5.0
    options.connections = [int(number) for number in options.connections.split(",")]
    options.only = options.only.split(",")
    options.programs = options.build_dir / "tests/bench"
    return options


def measure(options: argparse.Namespace, work: Path) -> tuple[dict[str, float], list[Load]]:
    """All that was asked for, told as it comes."""
    raw: dict[str, float] = {}
    runs: list[Load] = []
    if "raw" in options.only:
        raw = measure_raw(options, work)
        show_raw(raw)
    show_heading()
    if "c" in options.only:
        with port_printer([str(options.programs / "fn_server")], work) as (function, port):
            runs += measure_host(options, work, "C function", function, port)
    if "python" in options.only:
        with python_function(work) as (function, port):
            runs += measure_host(options, work, "Python function", function, port)
    return raw, runs


def main() -> int:
    """Returns the exit status."""
    options = parse_arguments()
    if shutil.which("wrk") is None:
        print("bench needs wrk (Debian package wrk)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="proa-bench-", dir=options.data or options.build_dir) as folder:
        try:
            raw, runs = measure(options, Path(folder))
        except (BenchError, OSError, subprocess.SubprocessError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 2
    problems = stalled(runs) + (missed(runs) if options.require else [])
    if options.json:
        text = json.dumps({"raw": raw, "runs": [asdict(run) for run in runs], "problems": problems}, indent=1) + "\n"
        sys.stdout.write(text) if options.json == "-" else Path(options.json).write_text(text)
    for problem in problems:
        print(f"bench: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
