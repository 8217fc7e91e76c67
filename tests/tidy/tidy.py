#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tidy: the house rules that a compiler does not know, as a test.

Reads the files git tracks and prints one line a finding, `file:line: rule: sentence`; ends with 1 if there
was any. A rule may be broken where a comment on the line, or the one above, says why:
`tidy: allow <rule>: reason`. Not here: what the compilers, clang-format and ruff find.
"""

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import csource

FILE_LINES_WARN = 700
FILE_LINES_MAX = 1000
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 6
NESTING_MAX = 4
SUBJECT_CHARACTERS_MAX = 120

BANNED_CALLS = {
    "strcpy": "copy with a known size (bytes.h)",
    "strcat": "append to a buf (bytes.h)",
    "sprintf": "use snprintf or a buf",
    "vsprintf": "use vsnprintf or a buf",
    "strtok": "split slices (bytes.h)",
    "atoi": "it hides errors; parse with a check of every character",
    "atol": "it hides errors; parse with a check of every character",
    "alloca": "the stack is not for foreign sizes; use an arena",
    "rand": "random bytes come from the edge",
    "srand": "random bytes come from the edge",
    "localtime": "it reads files and is not thread safe; times are UTC",
    "gmtime": "it is not thread safe; use gmtime_r",
    "gets": "it has no bound",
    "assert": "use check() for our bugs, struct err for foreign input",
}
EXIT_ALLOWED = {"host/app/main.c", "host/base/check.c"}
PURE_FLOORS = ("model", "codec", "engine", "store")
PURE_EXCEPTIONS = {f"host/store/{name}.c" for name in ("folder", "journal", "store_journal", "store_lmdb")}
IMPURE_CALLS = (
    "socket|open|openat|fopen|creat|read|pread|recv|write|pwrite|send|close|unlink|rename|mkdir|fsync|fdatasync|poll|"
    "epoll_wait|select|time|clock_gettime|gettimeofday|getenv|secure_getenv|setenv|usleep|sleep|nanosleep|rand|random|"
    "getrandom|fork|signal|printf|fprintf|puts"
)
SYSTEM_HEADERS = set(
    """arpa/inet.h assert.h ctype.h dirent.h errno.h fcntl.h float.h getopt.h inttypes.h limits.h locale.h math.h
    malloc.h net/if.h netdb.h netinet/in.h netinet/tcp.h poll.h pthread.h sched.h setjmp.h signal.h stdalign.h stdarg.h
    stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h sys/epoll.h sys/eventfd.h
    sys/file.h sys/mman.h sys/prctl.h sys/random.h sys/resource.h sys/signalfd.h sys/socket.h sys/stat.h sys/statvfs.h
    sys/syscall.h sys/time.h sys/timerfd.h sys/types.h sys/uio.h sys/un.h sys/vfs.h sys/wait.h termios.h time.h
    unistd.h""".split()
)

# The words are written apart so that this file does not hold what it looks for.
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
WORKPLACE = re.compile(
    r"(?<!user-)(?<!user_)(?<!user )\bagen"
    r"ts?\b|(?<![\w.])/wor"
    r"k/|/roo"
    r"t/|/hom"
    r"e/|\bco-authored-"
    r"by\b|"
    r"https?://[^\s)]*(?:artifac"
    r"tory|nex"
    r"us|/sim"
    r"ple/)",
    re.IGNORECASE,
)
SESSION = re.compile(
    r"""(?<!scope=")(?<!scope=')(?<!TLS )(?<!pytest_)\bsessio""" r"""n\b(?![_(]|\.\w)""", re.IGNORECASE
)
TEXT_SUFFIXES = {
    ".c",
    ".h",
    ".def",
    ".py",
    ".pyi",
    ".proto",
    ".md",
    ".sh",
    ".toml",
    ".yaml",
    ".yml",
    ".build",
    ".txt",
    "",
}
SOURCE_SUFFIXES = {".c", ".h", ".def", ".py", ".pyi", ".proto", ".sh"}


@dataclass(frozen=True, order=True)
class Finding:
    """One broken rule at one place."""

    path: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


@dataclass
class Source:
    """One file of the tree."""

    path: str
    text: str
    lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.lines = self.text.split("\n")

    @property
    def suffix(self) -> str:
        return Path(self.path).suffix

    @property
    def is_c(self) -> bool:
        return self.suffix in (".c", ".h")

    @property
    def is_generated(self) -> bool:
        return "_pb2." in self.path or ".pb-c." in self.path

    @property
    def floor(self) -> str:
        """The floor of the host it belongs to, or ""."""
        parts = self.path.split("/")
        return parts[1] if parts[0] == "host" and len(parts) > 2 else ""

    @cached_property
    def code(self) -> list[str]:
        return csource.code_only(self.text).split("\n")

    @cached_property
    def functions(self) -> list[csource.Function]:
        return csource.functions(self.text)

    def allows(self, line: int, rule: str) -> bool:
        """True if a comment there or above it says why the rule is broken."""
        marker = f"tidy: allow {rule}:"
        return any(marker in self.lines[n - 1] for n in range(max(1, line - 2), min(len(self.lines), line) + 1))


class Tree:
    """The files under a root, as git tracks them (all files if it is no git work tree), and the floor table."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sources = [source for path in self._paths() if (source := self._read(path))]
        table = root / "host/floors.toml"
        floors = tomllib.loads(table.read_text()) if table.exists() else {}
        self.libraries: dict[str, str] = floors.pop("libraries", {})
        self.uses: dict[str, list[str]] = {name: floor["uses"] for name, floor in floors.items()}
        self.headers = {Path(s.path).name: s for s in self.sources if s.floor and s.suffix == ".h"}

    def git(self, *arguments: str) -> str:
        """What git prints, or "" if this is no work tree."""
        try:
            done = subprocess.run(["git", "-C", str(self.root), *arguments], capture_output=True, check=False)
        except FileNotFoundError:
            return ""
        return done.stdout.decode(errors="replace") if done.returncode == 0 else ""

    def _paths(self) -> list[str]:
        if (self.root / ".git").exists():
            listed = self.git("ls-files", "-z").split("\0")
            return sorted(path for path in listed if path and (self.root / path).is_file())
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file())

    def _read(self, path: str) -> Source | None:
        if Path(path).suffix not in TEXT_SUFFIXES or Path(path).name == "LICENSE":
            return None
        try:
            return Source(path, (self.root / path).read_text())
        except UnicodeDecodeError:
            return None

    def c_sources(self) -> Iterator[Source]:
        return (source for source in self.sources if source.is_c and not source.is_generated)

    def host_sources(self) -> Iterator[Source]:
        return (source for source in self.c_sources() if source.floor)


def check_includes(tree: Tree) -> Iterator[Finding]:
    """Floors include downward only; one file includes one foreign library; no way around by `..`."""
    for source in tree.c_sources():
        for number, line in enumerate(csource.without_comments(source.text).split("\n"), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            name = match[2]
            if ".." in name:
                yield Finding(source.path, number, "include", "a path with '..' gets around the floors")
            elif source.floor:
                yield from _check_host_include(tree, source, number, name)


def _check_host_include(tree: Tree, source: Source, number: int, name: str) -> Iterator[Finding]:
    owner = tree.libraries.get(name)
    if owner is not None:
        if source.path != f"host/{owner}":
            yield Finding(source.path, number, "library", f"only host/{owner} includes {name}")
    elif name in tree.headers:
        floor = tree.headers[name].floor
        if floor != source.floor and floor not in tree.uses.get(source.floor, []):
            yield Finding(source.path, number, "floor", f"{source.floor} may not include {floor}/{name}")
    elif name not in SYSTEM_HEADERS and not source.allows(number, "library"):
        if not (tree.root / "host" / source.floor / name).exists():
            yield Finding(source.path, number, "library", f"{name} is neither ours, nor in floors.toml, nor of libc")


def check_include_cycles(tree: Tree) -> Iterator[Finding]:
    """No header reaches itself."""
    edges: dict[str, list[str]] = {}
    for name, source in tree.headers.items():
        included = re.findall(r'^\s*#\s*include\s*"([^"]+)"', source.text, re.MULTILINE)
        edges[name] = [header for header in included if header in tree.headers]
    for name in edges:
        seen: set[str] = set()
        waiting = list(edges[name])
        while waiting:
            header = waiting.pop()
            if header not in seen:
                seen.add(header)
                waiting += edges[header]
        if name in seen:
            yield Finding(tree.headers[name].path, 1, "cycle", f"{name} includes itself by way of other headers")


def check_sizes(tree: Tree) -> Iterator[Finding]:
    """Files and functions that one can read at a sitting."""
    for source in tree.sources:
        if source.suffix in SOURCE_SUFFIXES and not source.is_generated and len(source.lines) > FILE_LINES_MAX:
            yield Finding(source.path, 1, "file-lines", f"{len(source.lines)} lines, at most {FILE_LINES_MAX}")
    for source in tree.c_sources():
        for function in source.functions:
            yield from _check_function(source, function)
    for source in tree.sources:
        if source.suffix == ".py" and not source.is_generated:
            yield from _check_python_functions(source)


def _check_function(source: Source, function: csource.Function) -> Iterator[Finding]:
    limits = (
        ("function-lines", function.lines, FUNCTION_LINES_MAX, "lines"),
        ("parameters", function.parameter_count, PARAMETERS_MAX, "parameters"),
        ("nesting", function.nesting, NESTING_MAX, "blocks deep"),
    )
    for rule, measured, limit, unit in limits:
        if measured > limit and not source.allows(function.first_line, rule):
            text = f"{function.name} has {measured} {unit}, at most {limit}"
            yield Finding(source.path, function.first_line, rule, text)


def _check_python_functions(source: Source) -> Iterator[Finding]:
    try:
        module = ast.parse(source.text)
    except SyntaxError as error:
        yield Finding(source.path, error.lineno or 1, "syntax", str(error.msg))
        return
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES_MAX and not source.allows(node.lineno, "function-lines"):
                text = f"{node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"
                yield Finding(source.path, node.lineno, "function-lines", text)


def check_banned_calls(tree: Tree) -> Iterator[Finding]:
    """Calls with a better way, and I/O in floors that are pure."""
    banned = re.compile(r"(?<![\w.>])(" + "|".join(BANNED_CALLS) + r")\s*\(")
    leave = re.compile(r"(?<![\w.>])(_?exit|_Exit)\s*\(")
    impure = re.compile(r"(?<![\w.>])(pthread_\w+|" + IMPURE_CALLS + r")\s*\(")
    for source in tree.c_sources():
        is_pure = source.floor in PURE_FLOORS and source.path not in PURE_EXCEPTIONS
        for number, line in enumerate(source.code, 1):
            for match in banned.finditer(line):
                if not source.allows(number, "banned-call"):
                    yield Finding(source.path, number, "banned-call", f"{match[1]}: {BANNED_CALLS[match[1]]}")
            if source.floor and source.path not in EXIT_ALLOWED and (match := leave.search(line)):
                if not source.allows(number, "banned-call"):
                    yield Finding(source.path, number, "banned-call", f"{match[1]}: only main and a failed check end")
            if is_pure and (match := impure.search(line)) and not source.allows(number, "impure-call"):
                text = f"{match[1]}: the floor {source.floor} does no I/O and knows no clock"
                yield Finding(source.path, number, "impure-call", text)


def check_heads(tree: Tree) -> Iterator[Finding]:
    """Every source begins with its licence and says what it is, C by name; a module's .c leaves that to its header."""
    for source in tree.sources:
        is_script = source.suffix == "" and source.text.startswith("#!")
        if source.is_generated or not (source.suffix in SOURCE_SUFFIXES or is_script):
            continue
        if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(source.lines[:3]):
            yield Finding(source.path, 1, "licence", "the first lines hold no SPDX-License-Identifier: Apache-2.0")
        described_by_header = source.suffix == ".c" and f"{Path(source.path).stem}.h" in tree.headers
        if source.text.strip() and not described_by_header and not _has_head(source):
            yield Finding(source.path, 1, "head", "no comment at the head says what this file is")
        elif source.is_c and not described_by_header and f" * {Path(source.path).name}: " not in source.text[:200]:
            yield Finding(source.path, 1, "head", f'the head does not begin with "{Path(source.path).name}: "')


def _has_head(source: Source) -> bool:
    if source.suffix in (".py", ".pyi"):
        try:
            return bool(ast.get_docstring(ast.parse(source.text))) or _comment_lines(source.lines) >= 2
        except SyntaxError:
            return True
    if source.is_c or source.suffix == ".def":
        head = re.match(r"\s*/\*(.*?)\*/", source.text, re.DOTALL)
        return head is not None and len(re.sub(r"SPDX\S*|Apache-2\.0|[\s*]", "", head[1])) >= 20
    return _comment_lines(source.lines) >= 2


def _comment_lines(lines: list[str]) -> int:
    """Lines of comment at the head that hold words and are not the interpreter's line."""
    count = 0
    for line in lines:
        if not re.match(r"(#|//)", line):
            break
        count += bool(re.search(r"\w", line)) and not line.startswith("#!")
    return count


def check_words(tree: Tree) -> Iterator[Finding]:
    """Nothing unfinished, and nothing about the place where the project is made."""
    for source in tree.sources:
        if source.is_generated or Path(source.path).name in ("tidy.py", "test_tidy.py"):
            continue
        for number, line in enumerate(source.lines, 1):
            if match := UNFINISHED.search(line):
                yield Finding(source.path, number, "unfinished", f"{match[0]}: finish it or take it out")
            if match := WORKPLACE.search(line) or SESSION.search(line):
                if not source.allows(number, "words"):
                    yield Finding(
                        source.path, number, "words", f"'{match[0]}' says where this was made, not what it is"
                    )


def check_links(tree: Tree) -> Iterator[Finding]:
    """Relative links and anchors of the documents lead somewhere."""
    documents = {source.path: source for source in tree.sources if source.suffix == ".md"}
    for source in documents.values():
        for number, line in _lines_outside_code(source):
            for target in re.findall(r"\]\(([^)\s]+)\)", line):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                resolved = os.path.normpath(os.path.join(os.path.dirname(source.path), path)) if path else source.path
                if not (tree.root / resolved).exists():
                    yield Finding(source.path, number, "link", f"{target} does not exist")
                elif anchor and resolved in documents and anchor not in _anchors(documents[resolved]):
                    yield Finding(source.path, number, "link", f"{resolved} has no heading '{anchor}'")


def _lines_outside_code(source: Source) -> Iterator[tuple[int, str]]:
    fenced = False
    for number, line in enumerate(source.lines, 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, re.sub(r"`[^`]*`", "", line)


def _anchors(source: Source) -> set[str]:
    headings = (line.lstrip("#") for _, line in _raw_headings(source))
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.strip().lower())) for heading in headings}


def _raw_headings(source: Source) -> Iterator[tuple[int, str]]:
    fenced = False
    for number, line in enumerate(source.lines, 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and re.match(r"#{1,6} ", line):
            yield number, line


def check_docstrings(tree: Tree) -> Iterator[Finding]:
    """A public function of the host has a comment in its header; neighbours may share one."""
    for source in tree.headers.values():
        for prototype in csource.prototypes(source.text):
            if not prototype.has_comment:
                yield Finding(source.path, prototype.line, "docstring", f"no comment says what {prototype.name} does")


def check_headers_alone(tree: Tree) -> Iterator[Finding]:
    """Each header of the host compiles by itself, with the floors below it and no others."""

    def compile_alone(source: Source) -> Finding | None:
        floors = [source.floor, *tree.uses.get(source.floor, [])]
        folders = [f"-I{tree.root / 'host' / floor}" for floor in floors]
        command = ["gcc", "-std=gnu17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *folders, "-xc", "-"]
        program = f'#include "{Path(source.path).name}"\n'
        done = subprocess.run(command, input=program, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return None
        reason = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
        return Finding(source.path, 1, "header-alone", reason.replace(f"{tree.root}/", ""))

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from (finding for finding in pool.map(compile_alone, tree.headers.values()) if finding)


def check_commits(tree: Tree) -> Iterator[Finding]:
    """Subjects have the form `area: what`, without a full stop, and fit a line."""
    for line in tree.git("log", "--no-merges", "--format=%h %s").splitlines():
        commit, _, subject = line.partition(" ")
        if not re.match(r"[a-z0-9][\w.+/, -]*: \S", subject):
            yield Finding(f"commit {commit}", 1, "commit", f"'{subject}' does not have the form 'area: what'")
        elif len(subject) > SUBJECT_CHARACTERS_MAX:
            text = f"a subject of {len(subject)} characters, at most {SUBJECT_CHARACTERS_MAX}"
            yield Finding(f"commit {commit}", 1, "commit", text)


CHECKS: tuple[Callable[[Tree], Iterator[Finding]], ...] = (
    check_includes,
    check_include_cycles,
    check_sizes,
    check_banned_calls,
    check_heads,
    check_words,
    check_links,
    check_docstrings,
    check_headers_alone,
    check_commits,
)


def long_files(tree: Tree) -> list[str]:
    """Files that are not too long yet, but on the way there."""
    return [
        f"{source.path}: {len(source.lines)} lines, a place to look for a second reason to exist"
        for source in tree.sources
        if source.suffix in SOURCE_SUFFIXES and FILE_LINES_WARN < len(source.lines) <= FILE_LINES_MAX
    ]


def main() -> int:
    """Runs every check; 1 if one found something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    tree = Tree(parser.parse_args().root)
    findings = sorted({finding for check in CHECKS for finding in check(tree)})
    for warning in long_files(tree):
        print(f"note: {warning}")
    for finding in findings:
        print(finding)
    print(f"tidy: {len(CHECKS)} rules, {len(tree.sources)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
