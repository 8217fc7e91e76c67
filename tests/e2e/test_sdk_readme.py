# SPDX-License-Identifier: Apache-2.0
"""The SDK's README, followed step by step: its programs are written down, its commands run, on free ports."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import free_port, request, wait_until
from harness.host import binary

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "sdk-python/README.md").read_text()

pytestmark = pytest.mark.heavy


def program(name: str) -> str:
    """The program that follows its file name."""
    found = re.search(rf"^`{re.escape(name)}`:\n\n```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the README shows no {name}"
    return found[1]


def commands(heading: str) -> list[str]:
    """The commands of the first shell block under a heading."""
    found = re.search(rf"^## {re.escape(heading)}\n.*?^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the README has no commands under {heading}"
    return found[1].splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the programs of the README."""
    for name in ("counter.py", "test_counter.py"):
        (tmp_path / name).write_text(program(name))
    return tmp_path


def test_its_install_command(tmp_path: Path) -> None:
    copied = shutil.ignore_patterns("build", "*.egg-info", ".*")
    shutil.copytree(ROOT / "sdk-python", tmp_path / "sdk-python", ignore=copied)  # pip builds in the folder itself
    script = "\n".join(["set -e", *commands("Install")])
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, timeout=300)
    done = subprocess.run([tmp_path / "venv/bin/python", "-c", "import proa, uvicorn"], check=False)
    assert done.returncode == 0


def test_its_test_passes(folder: Path) -> None:
    (command,) = commands("Test it")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(command, shell=True, cwd=folder, env={**os.environ, "PATH": path}, check=False)
    assert done.returncode == 0


@pytest.fixture
def background() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that end with the test."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.terminate()
    for process in started:
        process.wait(60)


def test_its_host_answers(folder: Path, background: list[subprocess.Popen[bytes]]) -> None:
    function, ingress, admin = free_port(), free_port(), free_port()
    bin = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{bin}:{Path(binary()).parent}:{os.environ['PATH']}",
        "PROA_INGRESS_PORT": str(ingress),
        "PROA_ADMIN_PORT": str(admin),
    }
    *servers, call = [
        re.sub("8000|8090", lambda shown: str({"8000": function, "8090": ingress}[shown[0]]), command)
        for command in commands("Run it against the host")
    ]
    servers = [command.replace("/tmp/proa", str(folder / "data")) for command in servers]
    for command in servers:
        background.append(subprocess.Popen(f"exec {command}", shell=True, cwd=folder, env=environment))

    def is_ready() -> bool:
        try:
            return request(admin, "GET", "/readyz").status == 200
        except OSError:
            return False

    wait_until(is_ready, "the host is ready")
    printed = subprocess.run(call, shell=True, capture_output=True, text=True, check=True, timeout=60)
    assert printed.stdout == "5"
