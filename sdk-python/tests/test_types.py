# SPDX-License-Identifier: Apache-2.0
"""Wrong use fails the type checkers, on exactly the lines that are wrong; the package itself is clean."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WRONG = ROOT / "tests" / "wrong_use.py"
EXAMPLES = [ROOT.parent / "examples" / name for name in ("counter", "orders")]


def wrong_lines() -> set[int]:
    lines = WRONG.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


def run(*command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"needs {command[0]}: pip install proa[test]")
    return subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, timeout=300)


def pyright(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return run("pyright", "--pythonpath", sys.executable, *arguments, folder=folder)


def test_mypy_refuses_wrong_use() -> None:
    outcome = run("mypy", "--strict", "--hide-error-context", str(WRONG))
    found = re.findall(r"wrong_use\.py:(\d+): error:", outcome.stdout)
    assert {int(line) for line in found} == wrong_lines(), outcome.stdout


def test_pyright_refuses_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "wrong_use.py").write_text(WRONG.read_text(encoding="utf-8"), encoding="utf-8")
    outcome = pyright("--outputjson", ".", folder=tmp_path)
    found = json.loads(outcome.stdout)["generalDiagnostics"]
    lines = {item["range"]["start"]["line"] + 1 for item in found if item["severity"] == "error"}
    assert lines == wrong_lines(), outcome.stdout


def test_mypy_is_clean() -> None:
    outcome = run("mypy")
    assert outcome.returncode == 0, outcome.stdout


def test_pyright_is_clean() -> None:
    outcome = pyright()
    assert outcome.returncode == 0, outcome.stdout
    tests = [str(path) for path in sorted(WRONG.parent.glob("*.py")) if path != WRONG]
    outcome = pyright(*tests)
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_clean(example: Path) -> None:
    outcome = run("mypy", "--strict", ".", folder=example)
    assert outcome.returncode == 0, outcome.stdout
    outcome = pyright(".", folder=example)
    assert outcome.returncode == 0, outcome.stdout


def test_ruff_is_clean() -> None:
    outcome = run("ruff", "check", ".")
    assert outcome.returncode == 0, outcome.stdout
    outcome = run("ruff", "format", "--check", ".")
    assert outcome.returncode == 0, outcome.stdout
