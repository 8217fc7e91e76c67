# SPDX-License-Identifier: Apache-2.0
"""The playground's examples (examples/statefun), done as their pages say: every command, and what it prints.

Their module files name a host and ports of their own. So each runs in namespaces of its own: with an /etc/hosts that
the page's own command writes to, with a loopback nobody else uses, and with processes that end with it. Installing is
the one thing left out: setup.sh has done it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.host import binary
from harness.wait import DEADLINE_S
from languages import ENVIRONMENTS, LANGUAGES, ROOT

EXAMPLES = ROOT / "examples/statefun"
INSTALLS = ("pip ", "npm ", "mvn ")
UNSHARE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
UNSHARE += [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
LOOPBACK_UP = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x41))"
# What the page leaves to the reader: to wait until the host is up, and until what went in has been worked off.
PRELUDE = f"""
set -euo pipefail
mount --bind hosts /etc/hosts
{sys.executable} -c "{LOOPBACK_UP}"
sudo() {{ "$@"; }}
metric() {{ curl --silent --max-time 5 localhost:8095/metrics | sed -n "s/^$1 //p"; }}
await_ready() {{ until curl --silent --fail --output /dev/null localhost:8095/readyz; do sleep 0.05; done; }}
await_idle() {{ until [ "$(metric proa_mailbox_messages)" = 0 ]; do sleep 0.05; done; }}
"""


@dataclass(frozen=True)
class Console:
    """What a page shows: its commands, each with what it prints."""

    commands: list[tuple[str, str]]

    @classmethod
    def of(cls, page: Path) -> Console:
        """All console blocks of a page, as one."""
        commands: list[tuple[str, str]] = []
        for block in re.findall(r"^```console\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                if line.startswith("$ "):
                    commands.append((line[2:], ""))
                else:
                    command, printed = commands[-1]
                    commands[-1] = (command, f"{printed}{line}\n")
        return cls([each for each in commands if not each[0].startswith(INSTALLS)])

    def script(self) -> str:
        """The commands, each after a line that numbers it."""
        lines = [PRELUDE]
        for number, (command, _) in enumerate(self.commands):
            log = f" >log{number} 2>&1" if command.endswith("&") else ""
            lines += [f"echo '#{number}'", command.removesuffix("&") + log + ("&" if log else "")]
            if command.startswith("proa serve"):
                lines.append("await_ready")
            elif command.startswith("curl"):
                lines += ["echo", "await_idle"]
        return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skips where a process may not have namespaces of its own."""
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"no namespaces of one's own here: {tried.stderr.strip()}")


@pytest.mark.parametrize("language", ["py33", "py35", "js", "java"])
@pytest.mark.parametrize("example", ["greeter", "shopping-cart"])
def test_the_page_of_an_example(namespaces: None, tmp_path: Path, example: str, language: str) -> None:
    if LANGUAGES[language].missing:
        pytest.skip(f"{language}: {LANGUAGES[language].missing}")
    source = EXAMPLES / example / {"js": "javascript", "java": "java"}.get(language, "python")
    folder, programs = tmp_path / "example", tmp_path / "bin"
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("target", "data", "node_modules"))
    programs.mkdir()
    (programs / "proa").symlink_to(Path(binary()).resolve())
    if language == "java":
        (folder / "target").mkdir()
        (folder / "target/dependency").symlink_to(ENVIRONMENTS / "java/dependency")
    shutil.copy("/etc/hosts", folder / "hosts")
    (folder / "hosts").chmod(0o644)

    page = Console.of(folder / "README.md")
    (folder / "script").write_text(page.script())
    path = f"{programs}:{ENVIRONMENTS / language / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [*UNSHARE, "timeout", f"{DEADLINE_S}", "bash", "script"],
        cwd=folder,
        env={**os.environ, "PATH": path, "NODE_PATH": str(ENVIRONMENTS / "js/node_modules")},
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
    )
    logs = "\n".join(f"{log.name}: {log.read_text()[-3000:]}" for log in folder.glob("log*"))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs}"
    printed = re.split(r"^#\d+\n", done.stdout, flags=re.MULTILINE)[1:]
    for (command, expected), got in zip(page.commands, printed, strict=True):
        assert got.strip("\n") == expected.strip("\n"), f"{command}\n{logs}"
    assert (folder / "module.yaml").read_bytes() == (source / "module.yaml").read_bytes()
