# SPDX-License-Identifier: Apache-2.0
"""`./run bench --smoke`, with runs too short to mean anything: every figure is there, every promise is looked at."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from harness.host import binary

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build/test-gcc"  # where the stage before this one built them

sys.path.insert(0, str(ROOT / "tests/bench"))
import bench  # noqa: E402

RAW = {"fdatasync_per_s", "lmdb_commit_per_s", "http_per_s", "http_cpu_us", "curl_per_s", "curl_cpu_us"}


@pytest.mark.heavy
def test_smoke_prints_every_figure(tmp_path: Path) -> None:
    if not (PROGRAMS / "tests/bench/fn_server").exists():
        pytest.skip(f"{PROGRAMS} is not built")
    figures = tmp_path / "figures.json"
    command = [sys.executable, "tests/bench/bench.py", "--smoke", "--seconds", "1", "--connections", "1,64"]
    command += ["--binary", binary(), "--build-dir", str(PROGRAMS), "--data", str(tmp_path), "--json", str(figures)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(figures.read_text())
    assert RAW <= said["raw"].keys() and all(said["raw"][name] > 0 for name in RAW)
    names = [(run["name"], run["connections"]) for run in said["runs"]]
    assert names == [(name, count) for name in ("C function", "Python function") for count in (1, 64)]
    for run in said["runs"]:
        assert run["per_s"] > 0 and 0 < run["p50_ms"] <= run["p99_ms"] <= run["max_ms"] and run["errors"] == 0
        assert run["cpu_us"].keys() == {"host", "function", "wrk"}
        assert f"{run['per_s']:,.0f}" in done.stdout
    for words in ("fdatasync of one page", "LMDB commit", "libmicrohttpd", "libcurl"):
        assert words in done.stdout


GOOD = bench.Load("C function", 64, 16_000, 2.5, 5, 50, 0, {"host": 44.9, "function": 9, "wrk": 9})
PROMISED = [
    GOOD,
    dataclasses.replace(GOOD, connections=1, per_s=2_500, p50_ms=0.79),
    dataclasses.replace(GOOD, name="Python function", per_s=4_000),
]


@pytest.mark.parametrize(
    ("index", "change", "words"),
    [
        (0, {"per_s": 15_999}, "C function at 64: asks/s"),
        (0, {"cpu_us": {"host": 45.0}}, "C function at 64: host CPU"),
        (1, {"p50_ms": 0.8}, "C function at 1: p50"),
        (2, {"per_s": 3_999}, "Python function at 64: asks/s"),
    ],
)
def test_promised_figures_are_required(index: int, change: dict[str, object], words: str) -> None:
    assert bench.missed(PROMISED) == []
    runs = [dataclasses.replace(run, **(change if at == index else {})) for at, run in enumerate(PROMISED)]
    (missed,) = bench.missed(runs)
    assert missed.startswith(words)


@pytest.mark.parametrize("change", [{"errors": 1}, {"max_ms": 10_001.0}, {"per_s": 0.0}])
def test_a_stall_is_told(change: dict[str, float]) -> None:
    assert bench.stalled(PROMISED) == []
    assert len(bench.stalled([dataclasses.replace(GOOD, **change)])) == 1
