# SPDX-License-Identifier: Apache-2.0
"""The programs answer the captured requests with the captured bytes: so the stand-in is as good as its SDK."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from harness import Answer, request
from languages import LANGUAGES, ROOT, Language, Program

OCTETS = {"Content-Type": "application/octet-stream"}


def vectors(name: str) -> dict[str, dict[str, Any]]:
    """The vectors of one file, by name."""
    content = json.loads((ROOT / "protocol/vectors" / f"{name}.json").read_text())
    return {vector["name"]: vector for vector in content["vectors"]}


REQUESTS, ANSWERS = vectors("requests"), vectors("answers")
CAPTURED = [("go", "statefun_a", "statefun_go_incomplete"), ("go", "statefun_b", "statefun_go_done")]
CAPTURED += [("js", "statefun_a", "statefun_js_incomplete"), ("js", "statefun_b", "statefun_js_done")]


@pytest.fixture
def post(shared_program: Callable[[Language], Program]) -> Callable[..., Answer]:
    """Posts bytes to a language's program."""

    def send(name: str, body: bytes, headers: dict[str, str] | None = None, method: str = "POST") -> Answer:
        language = LANGUAGES[name]
        if language.missing:
            pytest.skip(f"{name}: {language.missing}")
        return request(shared_program(language).port, method, "/statefun", body, headers or OCTETS)

    return send


@pytest.mark.parametrize(("name", "asked", "answered"), CAPTURED)
def test_captured_answers(post: Callable[..., Answer], name: str, asked: str, answered: str) -> None:
    answer = post(name, bytes.fromhex(REQUESTS[asked]["hex"]))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.body.hex() == ANSWERS[answered]["hex"]


def test_refusals_of_the_stand_in(post: Callable[..., Answer]) -> None:
    """R1: as strict as the SDK it stands for, in the same words."""
    body = bytes.fromhex(REQUESTS["statefun_a"]["hex"])
    unknown = body.replace(b"command-interpreter-fn", b"command-interpreter-xx")
    with_parameter = {"Content-Type": "application/octet-stream; charset=utf-8"}
    refusals = [
        (post("go", unknown), 500, b"unknown function type statefun.smoke.e2e/command-interpreter-xx\n"),
        (post("go", b"\xff\xff\xff"), 500, b"failed to unmarshal ToFunction: "),
        (post("go", body, with_parameter), 415, b"invalid content type\n"),
        (post("go", b"", method="GET"), 405, b"invalid request method\n"),
        (post("go", b""), 400, b""),
    ]
    for answer, status, text in refusals:
        assert answer.status == status, answer
        assert answer.body.startswith(text)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
