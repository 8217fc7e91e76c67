# SPDX-License-Identifier: Apache-2.0
"""Make src/proa/_wire_pb2.py(i) from protocol/proa.proto.

Needs `protoc` 3.21 (Debian: protobuf-compiler): its output runs on every protobuf runtime from 4.21 on, while
that of a newer protoc refuses older runtimes.

    python tools/generate_wire.py            write the files
    python tools/generate_wire.py --check    exit 1 if they are not current
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT.parent / "protocol" / "proa.proto"
PACKAGE = ROOT / "src" / "proa"


def generate() -> dict[Path, str]:
    """Return what the generated files should hold."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["protoc", f"--proto_path={PROTO.parent}", f"--python_out={folder}", f"--pyi_out={folder}", PROTO.name],
            check=True,
            timeout=60,
        )
        code = (Path(folder) / "proa_pb2.py").read_text(encoding="utf-8").replace("'proa_pb2'", "'proa._wire_pb2'")
        stub = (Path(folder) / "proa_pb2.pyi").read_text(encoding="utf-8")
    return {PACKAGE / "_wire_pb2.py": code, PACKAGE / "_wire_pb2.pyi": stub}


def main(arguments: list[str]) -> int:
    """Write the files, or with --check compare them."""
    files = generate()
    if "--check" in arguments:
        stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
        for path in stale:
            print(f"{path} is not current: run python tools/generate_wire.py", file=sys.stderr)
        return 1 if stale else 0
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
