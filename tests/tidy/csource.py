# SPDX-License-Identifier: Apache-2.0
"""csource: just enough of C's grammar for tidy: comments, literals, functions, prototypes.

It relies on the layout clang-format gives (a function's braces stand alone in column 0), so it needs no
parser. Not here: the rules themselves (tidy.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<text>"(?:\\.|[^"\\\n])*")|(?P<char>'(?:\\.|[^'\\\n])*')""",
    re.DOTALL | re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"^(?:[A-Z][A-Z0-9_]*|__attribute__|_Static_assert|_Alignas)$")


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def without_comments(text: str) -> str:
    """The text with comments as blanks; lines and columns stay."""
    return _TOKEN.sub(lambda m: _blank(m[0]) if m["comment"] else m[0], text)


def code_only(text: str) -> str:
    """The text with comments and the insides of literals as blanks; lines and columns stay."""
    return _TOKEN.sub(lambda m: _blank(m[0]) if m["comment"] else m[0][0] + _blank(m[0][1:-1]) + m[0][-1], text)


@dataclass(frozen=True)
class Function:
    """One function definition: its name, the lines of its signature and body, its number of parameters."""

    name: str
    first_line: int
    brace_line: int
    last_line: int
    parameter_count: int
    nesting: int

    @property
    def lines(self) -> int:
        return self.last_line - self.first_line + 1


def functions(text: str) -> list[Function]:
    """Every function definition whose braces stand in column 0."""
    lines = code_only(text).split("\n")
    found = []
    for number, line in enumerate(lines):
        if line.rstrip() != "{":
            continue
        first = _signature_start(lines, number)
        last = next((n for n in range(number, len(lines)) if lines[n].startswith("}")), len(lines) - 1)
        name, parameters = _name_and_parameters(" ".join(lines[first:number]))
        if name:
            body = "\n".join(lines[number + 1 : last])
            found.append(Function(name, first + 1, number + 1, last + 1, len(parameters), _nesting(body)))
    return found


def _signature_start(lines: list[str], brace: int) -> int:
    first = brace
    while first > 0:
        above = lines[first - 1].rstrip()
        if not above or above.endswith((";", "}", ":")) or above.startswith("#"):
            break
        first -= 1
    return first


def _name_and_parameters(signature: str) -> tuple[str, list[str]]:
    for match in re.finditer(r"\b([A-Za-z_]\w*)\s*\(", signature):
        if _ATTRIBUTE.match(match[1]):
            continue
        inside = _inside_parentheses(signature, match.end())
        return match[1], _split_parameters(inside)
    return "", []


def _inside_parentheses(text: str, start: int) -> str:
    depth = 1
    for position in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return text[start:position]
    return text[start:]


def _split_parameters(text: str) -> list[str]:
    parts, depth, begin = [], 0, 0
    for position, character in enumerate(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(text[begin:position])
            begin = position + 1
    parts.append(text[begin:])
    parts = [part.strip() for part in parts]
    return [part for part in parts if part not in ("", "void")]


def _nesting(body: str) -> int:
    """The deepest block within a body. An initialiser or a compound literal is not a block."""
    stack: list[bool] = []
    deepest = 0
    for match in re.finditer(r"[{}]", body):
        if match[0] == "}":
            if stack:
                stack.pop()
            continue
        before = body[: match.start()]
        is_block = bool(re.search(r"(\)\s|\belse\s|\bdo\s|:\s|[;{}]\s*)\s*$", before))
        stack.append(is_block and all(stack))
        deepest = max(deepest, sum(stack))
    return deepest


@dataclass(frozen=True)
class Prototype:
    """A function a header declares, and whether a comment says what it does."""

    name: str
    line: int
    has_comment: bool


def prototypes(text: str) -> list[Prototype]:
    """Every function prototype of a header. Neighbours without a blank line between share one comment."""
    lines = text.split("\n")
    code = code_only(text).split("\n")
    found = []
    commented = False
    number = 0
    while number < len(code):
        line = code[number]
        if not lines[number].strip():
            commented = False
        elif not line.strip():
            commented = True  # a line of comment only
        elif _begins_prototype(line):
            last = _end_of_statement(code, number)
            statement = " ".join(code[number : last + 1])
            name, _ = _name_and_parameters(statement) if "{" not in statement else ("", [])
            trailing = any("/*" in lines[n] or "//" in lines[n] for n in range(number, last + 1))
            if name:
                commented = commented or trailing
                found.append(Prototype(name, number + 1, commented))
            number = last
        elif line.startswith(("}", "#")):
            commented = False
        number += 1
    return found


def _begins_prototype(line: str) -> bool:
    if not re.match(r"[A-Za-z_]", line) or "(" not in line:
        return False
    return not re.match(r"(typedef|static|extern\s+struct|_Static_assert|[A-Z_]+\()", line) and "=" not in line


def _end_of_statement(code: list[str], number: int) -> int:
    while number < len(code) - 1 and ";" not in code[number] and not code[number].rstrip().endswith("{"):
        number += 1
    return number
