# SPDX-License-Identifier: Apache-2.0
"""Small bad samples, each of which tidy must find, and good ones that it must leave alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import csource
import tidy

FLOORS = """
[base]
uses = []
[model]
uses = ["base"]
[edge]
uses = ["base", "model"]
[libraries]
"curl/curl.h" = "edge/transfer.c"
"""
HEAD = "/* SPDX-License-Identifier: Apache-2.0\n *\n * A sample that stands for a module of the host.\n */\n"
Check = Callable[[tidy.Tree], Iterator[tidy.Finding]]


class Sample(unittest.TestCase):
    """A tree of files in a temporary folder, and what one check finds in it."""

    def found(self, check: Check, files: dict[str, str]) -> list[tidy.Finding]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for path, text in {"host/floors.toml": FLOORS, **files}.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            return list(check(tidy.Tree(root)))

    def assert_finds(self, check: Check, rule: str, path: str, text: str, **more: str) -> None:
        findings = self.found(check, {path: text, **more})
        self.assertTrue(any(f.rule == rule and f.path == path for f in findings), f"not found: {findings}")

    def assert_clean(self, check: Check, path: str, text: str, **more: str) -> None:
        self.assertEqual([], self.found(check, {path: text, **more}))


class Includes(Sample):
    def test_upward_include_is_found(self) -> None:
        files = {"host/base/kit.c": HEAD + '#include "loop.h"\n', "host/edge/loop.h": HEAD + "#pragma once\n"}
        self.assertEqual(["floor"], [f.rule for f in self.found(tidy.check_includes, files)])

    def test_downward_include_is_fine(self) -> None:
        files = {"host/edge/loop.c": HEAD + '#include "kit.h"\n', "host/base/kit.h": HEAD + "#pragma once\n"}
        self.assertEqual([], self.found(tidy.check_includes, files))

    def test_relative_include_is_found(self) -> None:
        self.assert_finds(tidy.check_includes, "include", "host/base/kit.c", HEAD + '#include "../edge/loop.h"\n')

    def test_foreign_library_in_a_second_file_is_found(self) -> None:
        self.assert_finds(tidy.check_includes, "library", "host/edge/other.c", HEAD + "#include <curl/curl.h>\n")
        self.assert_clean(tidy.check_includes, "host/edge/transfer.c", HEAD + "#include <curl/curl.h>\n")

    def test_unknown_library_is_found(self) -> None:
        self.assert_finds(tidy.check_includes, "library", "host/edge/other.c", HEAD + "#include <glib.h>\n")

    def test_commented_include_is_fine(self) -> None:
        self.assert_clean(tidy.check_includes, "host/base/kit.c", HEAD + '/*\n#include "../x.h"\n*/\n')

    def test_cycle_is_found(self) -> None:
        files = {
            "host/base/a.h": HEAD + '#pragma once\n#include "b.h"\n',
            "host/base/b.h": HEAD + '#pragma once\n#include "a.h"\n',
        }
        self.assertEqual({"cycle"}, {f.rule for f in self.found(tidy.check_include_cycles, files)})


class Sizes(Sample):
    def test_long_file_is_found(self) -> None:
        text = HEAD + "int x;\n" * tidy.FILE_LINES_MAX
        self.assert_finds(tidy.check_sizes, "file-lines", "host/base/kit.c", text)

    def test_long_function_is_found(self) -> None:
        body = "    x();\n" * (tidy.FUNCTION_LINES_MAX - 2)
        self.assert_finds(tidy.check_sizes, "function-lines", "host/base/a.c", HEAD + f"void f(void)\n{{\n{body}}}\n")
        body = "    x();\n" * (tidy.FUNCTION_LINES_MAX - 3)
        self.assert_clean(tidy.check_sizes, "host/base/a.c", HEAD + f"void f(void)\n{{\n{body}}}\n")

    def test_long_python_function_is_found(self) -> None:
        text = "def f() -> None:\n" + "    print()\n" * tidy.FUNCTION_LINES_MAX
        self.assert_finds(tidy.check_sizes, "function-lines", "sdk-python/a.py", text)

    def test_many_parameters_are_found(self) -> None:
        parameters = ", ".join(f"int p{n}" for n in range(tidy.PARAMETERS_MAX + 1))
        self.assert_finds(tidy.check_sizes, "parameters", "host/base/a.c", HEAD + f"void f({parameters})\n{{\n}}\n")

    def test_parameters_of_a_callback_count_as_one(self) -> None:
        text = (
            HEAD + "MUST_USE int f(int (*call)(int a, int b, int c), int b,\n               int c) LOOP_THREAD\n{\n}\n"
        )
        self.assertEqual(3, csource.functions(text)[0].parameter_count)

    def test_reasoned_exception_is_fine(self) -> None:
        parameters = ", ".join(f"int p{n}" for n in range(8))
        text = HEAD + f"/* tidy: allow parameters: the library's signature */\nvoid f({parameters})\n{{\n}}\n"
        self.assert_clean(tidy.check_sizes, "host/base/a.c", text)

    def test_deep_nesting_is_found(self) -> None:
        deep = "    if (a) {\n" * (tidy.NESTING_MAX + 1) + "    }\n" * (tidy.NESTING_MAX + 1)
        self.assert_finds(tidy.check_sizes, "nesting", "host/base/a.c", HEAD + f"void f(void)\n{{\n{deep}}}\n")

    def test_initialiser_is_no_block(self) -> None:
        text = "void f(void)\n{\n    if (a) {\n        x = (struct p){.q = {{{{{1}}}}}};\n    }\n}\n"
        self.assertEqual(1, csource.functions(text)[0].nesting)


class Calls(Sample):
    def test_each_banned_call_is_found(self) -> None:
        for call in tidy.BANNED_CALLS:
            text = HEAD + f"void f(void)\n{{\n    {call}(x);\n}}\n"
            with self.subTest(call):
                self.assert_finds(tidy.check_banned_calls, "banned-call", "host/edge/a.c", text)

    def test_words_in_comments_and_texts_are_fine(self) -> None:
        text = HEAD + 'void f(void)\n{\n    /* strcpy(a) */\n    log("use strcpy(x) or exit(1)");\n    x->open(1);\n}\n'
        self.assert_clean(tidy.check_banned_calls, "host/model/a.c", text)

    def test_static_assert_is_fine(self) -> None:
        self.assert_clean(tidy.check_banned_calls, "host/model/a.c", HEAD + '_Static_assert(1, "x");\n')

    def test_exit_is_found_but_in_main(self) -> None:
        text = HEAD + "void f(void)\n{\n    exit(1);\n}\n"
        self.assert_finds(tidy.check_banned_calls, "banned-call", "host/edge/a.c", text)
        self.assert_clean(tidy.check_banned_calls, "host/app/main.c", text)

    def test_io_in_pure_floors_is_found(self) -> None:
        for call in ("open", "read", "time", "clock_gettime", "getenv", "pthread_create", "usleep", "socket"):
            text = HEAD + f"void f(void)\n{{\n    {call}(x);\n}}\n"
            with self.subTest(call):
                self.assert_finds(tidy.check_banned_calls, "impure-call", "host/model/a.c", text)
                self.assert_clean(tidy.check_banned_calls, "host/edge/a.c", text)
                self.assert_clean(tidy.check_banned_calls, "host/store/store_lmdb.c", text)


class Heads(Sample):
    def test_missing_licence_is_found(self) -> None:
        self.assert_finds(tidy.check_heads, "licence", "host/base/a.h", "/* A header without its licence. */\nint x;\n")
        self.assert_finds(tidy.check_heads, "licence", "sdk-python/a.py", '"""A module without its licence."""\n')

    def test_missing_head_is_found(self) -> None:
        spdx = "/* SPDX-License-Identifier: Apache-2.0 */\nint x;\n"
        self.assert_finds(tidy.check_heads, "head", "host/base/a.h", spdx)
        self.assert_finds(tidy.check_heads, "head", "host/base/a.h", HEAD)
        self.assert_finds(tidy.check_heads, "head", "a.py", "# SPDX-License-Identifier: Apache-2.0\nx = 1\n")

    def test_good_heads_are_fine(self) -> None:
        self.assert_clean(tidy.check_heads, "host/base/a.h", HEAD.replace("A sample", "a.h: a sample"))
        self.assert_clean(tidy.check_heads, "a.py", '# SPDX-License-Identifier: Apache-2.0\n"""What it is."""\n')


class Words(Sample):
    def test_unfinished_work_is_found(self) -> None:
        for word in ("TODO", "FIXME", "XXX"):
            self.assert_finds(tidy.check_words, "unfinished", "host/base/a.c", HEAD + f"/* {word} later */\n")

    def test_workplace_words_are_found(self) -> None:
        for word in ("/work/main", "an agent did it", "in this session", "/root/x"):
            self.assert_finds(tidy.check_words, "words", "docs/a.md", f"It says {word}.\n")

    def test_ordinary_words_are_fine(self) -> None:
        text = '@pytest.fixture(scope="session")\n# the user-agent header, a TLS session, mktemp XXXXXX\n'
        self.assert_clean(tidy.check_words, "a.py", text)


class Documents(Sample):
    def test_broken_link_is_found(self) -> None:
        self.assert_finds(tidy.check_links, "link", "README.md", "See [docs](docs/nothing.md).\n")

    def test_broken_anchor_is_found(self) -> None:
        self.assert_finds(tidy.check_links, "link", "README.md", "# One head\n\n[a](#one-head) [b](#two)\n")

    def test_links_in_code_and_to_the_web_are_fine(self) -> None:
        text = "[web](https://example.org/x) `[a](b)`\n```\n[c](d)\n```\n[self](README.md#top-it-is)\n## Top: it is\n"
        self.assert_clean(tidy.check_links, "README.md", text)

    def test_undocumented_function_is_found(self) -> None:
        text = HEAD + "#pragma once\n/* Does one thing. */\nint a_one(void);\n\nint a_two(void);\n"
        findings = self.found(tidy.check_docstrings, {"host/base/a.h": text})
        self.assertEqual(["no comment says what a_two does"], [f.text for f in findings])

    def test_neighbours_share_a_comment(self) -> None:
        text = HEAD + "#pragma once\n/* Do things. */\nint a_one(void);\nint a_two(int a,\n          int b);\n"
        self.assert_clean(tidy.check_docstrings, "host/base/a.h", text)


class Headers(Sample):
    def test_header_that_needs_another_is_found(self) -> None:
        text = HEAD + "#pragma once\nvoid f(size_t n);\n"
        self.assert_finds(tidy.check_headers_alone, "header-alone", "host/base/a.h", text)

    def test_header_of_a_higher_floor_is_found(self) -> None:
        files = {"host/base/a.h": HEAD + '#include "b.h"\n', "host/edge/b.h": HEAD}
        self.assertEqual(["host/base/a.h"], [f.path for f in self.found(tidy.check_headers_alone, files)])


class Commits(Sample):
    def test_subject_without_area_is_found(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "core.hooksPath=/dev/null"]
            git = ["git", "-C", folder, *identity]
            subprocess.run([*git, "init", "-q"], check=True)
            for subject in ("base: a good one", "A bad one", "engine: " + "long " * 30):
                subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", subject], check=True)
            findings = list(tidy.check_commits(tidy.Tree(Path(folder))))
        self.assertEqual(["commit", "commit"], [f.rule for f in findings])


if __name__ == "__main__":
    unittest.main()
