# SPDX-License-Identifier: Apache-2.0
"""The benchmark beside StateFun, in its short form: every load passes through both hosts, and is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from harness.host import binary
from runtime import ROOT, missing

LOADS = ["64 asks in flight", "flood from outside", "flood from within"]


def test_every_load_passes_through_both(tmp_path: Path) -> None:
    if missing() or missing("bench"):
        pytest.skip(missing() or missing("bench"))
    figures = tmp_path / "figures.json"
    command = [sys.executable, "tests/bench/statefun_bench.py", "--smoke", "--only", "asks,durable,floods"]
    command += ["--binary", binary(), "--build-dir", "build/statefun", "--json", str(figures)]  # as ./run does
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = json.loads(figures.read_text())["runs"]
    assert sorted({run["load"] for run in runs}) == LOADS
    for load in LOADS:
        hosts = {run["host"] for run in runs if run["load"] == load}
        assert any(host.startswith("Proa") for host in hosts) and any(host.startswith("StateFun") for host in hosts)
    assert all(run["per_s"] > 0 and run["host_cpu_us"] > 0 and run["function_cpu_us"] > 0 for run in runs)
