# SPDX-License-Identifier: Apache-2.0
"""The generated code is current."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GENERATOR = Path(__file__).resolve().parents[1] / "tools" / "generate_wire.py"


def test_generated_code_is_current() -> None:
    protoc = shutil.which("protoc")
    if protoc is None or "3.21" not in subprocess.run([protoc, "--version"], capture_output=True, text=True).stdout:
        pytest.skip("needs protoc 3.21: apt-get install protobuf-compiler")
    outcome = subprocess.run([sys.executable, str(GENERATOR), "--check"], capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
