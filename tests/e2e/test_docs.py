# SPDX-License-Identifier: Apache-2.0
"""Every command the documents show, run as shown: its output must be the one they print.

A block marked `console` holds commands after "$ " and their output; "…" stands for anything. Blocks run in order,
each in one shell, against `./run demo` on free ports. Not run here: `git clone` and the tests themselves.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness import free_port, request, wait_until

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "docs/http-api.md",
    "docs/failures.md",
    "docs/operating.md",
    "docs/performance.md",
    "docs/statefun.md",
    "sdk-python/README.md",
]
# Shown, and run by other means: the clone by every tester, the tests by whoever reads this result, the demo below, the
# benchmark, in its short form, by tests/statefun.
ELSEWHERE = {'git clone "$URL" proa && cd proa', "./run demo", "./run test", "./run bench --statefun"}

READY = "until curl --silent --fail --output /dev/null localhost:8095/readyz; do sleep 0.05; done"

pytestmark = pytest.mark.heavy


@dataclass
class Block:
    """One console block: its commands, and what they print."""

    place: str
    commands: list[str]
    output: list[str]


def blocks_of(document: str) -> list[Block]:
    """The console blocks of a document."""
    found = []
    text = (ROOT / document).read_text()
    for match in re.finditer(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines = match[1].splitlines()
        place = f"{document}:{text[: match.start()].count(chr(10)) + 1}"
        commands: list[str] = []
        for line in lines:
            if line.startswith("$ "):
                commands.append(line[2:])
            elif line.startswith("> "):
                commands[-1] += "\n" + line[2:]
        output = [line for line in lines if not line.startswith(("$ ", "> "))]
        found.append(Block(place, commands, output))
    return found


def pattern_of(output: list[str]) -> str:
    """What the output must match: itself, with "…" for anything."""
    return ".*".join(re.escape(part) for part in "\n".join(output).split("…"))


@dataclass
class Demo:
    """The running demo, and where it listens instead of where the documents say."""

    ports: dict[str, int]
    data: Path
    output: Path

    def translated(self, command: str) -> str:
        """A command with the ports and folders of this run."""
        for shown, real in self.ports.items():
            places = rf"(?<=localhost:){shown}\b|(?<=-port ){shown}\b|(?<=port: ){shown}\b"
            command = re.sub(places, str(real), command)
        return command.replace("build/demo-data", str(self.data))

    @property
    def pid_file(self) -> Path:
        """Where the number of the host's process stands, that of the next one once it was killed."""
        return Path(f"{self.data}.logs/host.pid")

    def await_ready(self) -> None:
        """Waits until the demo's host takes messages."""

        def is_ready() -> bool:
            try:
                return request(self.ports["8095"], "GET", "/readyz").status == 200
            except OSError:
                return False

        wait_until(is_ready, "the demo's host is ready")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    ports = {shown: free_port() for shown in ("8090", "8095", "8000", "9090", "9091", "9095")}
    names = {"8090": "PROA_INGRESS_PORT", "8095": "PROA_ADMIN_PORT", "8000": "PROA_FUNCTION_PORT"}
    running = Demo(ports, folder / "demo-data", folder / "output")
    environment = {**os.environ, "PROA_DEMO_DATA": str(running.data)}
    environment |= {name: str(ports[shown]) for shown, name in names.items()}
    with running.output.open("wb") as output:
        process = subprocess.Popen(
            ["./run", "demo"], cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until(lambda: "Ctrl-C" in running.output.read_text() or process.poll() is not None, "the demo is up", 300)
        assert process.poll() is None, running.output.read_text()
        yield running
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)  # whoever starts a shell in the background has it ignore SIGINT
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_the_demo_prints_what_the_readme_says(demo: Demo) -> None:
    shown = next(block for block in blocks_of("README.md") if "./run demo" in block.commands)
    lines = [f"$ {command}" for command in shown.commands[2:]]
    calls = [text for pair in zip(lines, shown.output[1:-1], strict=True) for text in pair]
    printed = demo.output.read_text()
    for word, port in demo.ports.items():
        printed = printed.replace(f"localhost:{port}", f"localhost:{word}")
    assert "\n".join(calls) in printed


def run_block(demo: Demo, block: Block, folder: Path) -> str:
    """Runs a block's commands in one shell; what they print."""
    script = ["set -e", "exec 2>/dev/null"]
    for command in block.commands:
        if command.startswith("kill -9"):
            script.append(f"pid=$(cat {demo.pid_file})")
        script.append(demo.translated(command))
        if command.startswith("kill -9"):
            script.append(f'while [ "$(cat {demo.pid_file})" = "$pid" ]; do sleep 0.05; done')
            script.append(demo.translated(READY))
        elif command.startswith("curl"):
            script.append("echo")
    done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (block.place, script, done.stdout)
    return "\n".join(line for line in done.stdout.splitlines() if line)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_print_what_the_document_says(
    demo: Demo, document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("build", "run", "tests", "examples", "sdk-python", "host", "meson.build"):
        (tmp_path / name).symlink_to(ROOT / name)
    for block in blocks_of(document):
        block.commands = [command for command in block.commands if command not in ELSEWHERE]
        if not block.commands or (document == "README.md" and "…" in block.output):
            continue
        demo.await_ready()
        printed = run_block(demo, block, tmp_path)
        expected = pattern_of([line for line in block.output if line])
        assert re.fullmatch(expected, printed, re.DOTALL), f"{block.place} prints\n{printed}"


def test_every_document_is_looked_at() -> None:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    texts = {path: (ROOT / path).read_text() for path in listed.stdout.split()}
    shown = {path for path, text in texts.items() if "```console" in text}
    elsewhere = {path for path in shown if path.startswith("examples/statefun/")}  # by tests/interop/test_examples.py
    assert shown - elsewhere <= set(DOCUMENTS)
    with_shell = {path for path, text in texts.items() if re.search(r"^```(sh|bash|shell)$", text, re.MULTILINE)}
    assert with_shell <= {"sdk-python/README.md"}  # whose commands test_sdk_readme.py runs
