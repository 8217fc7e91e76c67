# SPDX-License-Identifier: Apache-2.0
"""What README.md shows is run: Python blocks as files, and the commands that need no host."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
COUNTER, TEST_COUNTER, *OTHERS = PYTHON
EXAMPLES = ROOT.parent / "examples"

# Who runs each command of the README. The host's are run by tests/e2e.
COMMANDS = {
    "pip install ./sdk-python uvicorn httptools": "test_it_installs",
    "python3 -m venv venv": "tests/e2e",
    ". venv/bin/activate": "tests/e2e",
    "python -m pytest test_counter.py": "tests/e2e",
    "uvicorn counter:app --port 8000": "test_server.py",
    "proa serve --function 'example/*=http://localhost:8000/' --data /tmp/proa": "tests/e2e",
    "curl localhost:8090/v1/ask/example/counter/bob --json 5": "tests/e2e",
    "pip install -e '.[test]'": "test_it_installs",
    "python -m pytest": "this run",
    "python tools/generate_wire.py --check": "test_wire.py",
}


def test_every_command_is_run_somewhere() -> None:
    assert set(SHELL) == set(COMMANDS)


def test_the_counter_is_the_example() -> None:
    def without_head(path: Path) -> str:
        return path.read_text(encoding="utf-8").partition("\n\n")[2]

    assert without_head(EXAMPLES / "counter" / "counter.py") == COUNTER
    assert without_head(EXAMPLES / "counter" / "test_counter.py") == TEST_COUNTER


def test_the_counter_and_its_test(tmp_path: Path) -> None:
    (tmp_path / "counter.py").write_text(COUNTER, encoding="utf-8")
    (tmp_path / "test_counter.py").write_text(TEST_COUNTER, encoding="utf-8")
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize("number", range(len(OTHERS)))
def test_other_blocks(number: int, tmp_path: Path) -> None:
    path = tmp_path / "block.py"
    path.write_text(OTHERS[number], encoding="utf-8")
    outcome = subprocess.run([sys.executable, "-W", "error", str(path)], capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    if importlib.util.find_spec("mypy") is not None:
        command = [sys.executable, "-m", "mypy", "--strict", str(path)]
        outcome = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize("example", ["counter", "orders"])
def test_examples(example: str) -> None:
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=EXAMPLES / example,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert outcome.returncode == 0, outcome.stdout


def test_it_installs(tmp_path: Path) -> None:
    """A plain install works without a network, with the setuptools that is there."""
    if importlib.util.find_spec("setuptools") is None or importlib.util.find_spec("wheel") is None:
        pytest.skip("needs setuptools and wheel")
    source = tmp_path / "source"
    source.mkdir()
    for path in (ROOT / "src").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path):
            target = source / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    for name in ("pyproject.toml", "README.md"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    outcome = subprocess.run(
        [*command, "--target", str(target), str(source)], capture_output=True, text=True, timeout=120
    )
    assert outcome.returncode == 0, outcome.stderr
    installed = {path.name for path in (target / "proa").iterdir()}
    assert {"py.typed", "_wire_pb2.py", "_wire_pb2.pyi", "testing.py"} <= installed
