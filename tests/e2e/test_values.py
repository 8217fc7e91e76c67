# SPDX-License-Identifier: Apache-2.0
"""Values: what a body becomes, and what comes back."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from harness import Host, PythonFunctions

JSON_BODIES = [
    b"null",
    b"true",
    b'"text"',
    b'"\\u0000 and \\ud83d\\udea3"',
    b"123456789012345678901234567890",
    b"-0",
    b"1e100",
    b' {"b" : 1, "a":[ ] } ',
    b'{"a":1,"a":2}',
    b"[" * 100 + b"]" * 100,
    '"ünï…漢🚣"'.encode(),
]


@pytest.mark.parametrize("body", JSON_BODIES, ids=range(len(JSON_BODIES)))
def test_json_keeps_its_bytes(host: Host, body: bytes) -> None:
    answer = host.ask("zoo/echo/a", body=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nul", b"1 2", b'"\xff"', b'{"a":}', b"[" * 100000, b"'a'", b"NaN", b"\xef\xbb\xbf1"]
)
def test_bad_json_is_refused(host: Host, body: bytes) -> None:
    answer = host.ask("zoo/echo/a", body=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "bad_value")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
        "APPLICATION/JSON",
    ],
)
def test_json_content_types(host: Host, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert host.ask("zoo/see/a", body=b"7", headers=headers).json["typename"] == "proa/json"


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "multipart/form-data; boundary=x"])
def test_other_content_types(host: Host, content_type: str) -> None:
    answer = host.ask("zoo/see/a", body=b"7", headers={"Content-Type": content_type})
    assert (answer.status, answer.code) == (415, "unsupported_type")


def test_raw_values(host: Host) -> None:
    data = bytes(range(256))
    for headers in ({"Proa-Type": "shop/Picture"}, {"Content-Type": "application/vnd.shop/Picture"}):
        seen = host.ask("zoo/see/a", body=data, headers=headers).json
        assert (seen["typename"], seen["size"]) == ("shop/Picture", 256)
        answer = host.ask("zoo/echo/a", body=data, headers=headers)
        assert (answer.status, answer.body) == (200, data)
        assert answer.headers["content-type"] == "application/vnd.shop/Picture"


@pytest.mark.parametrize(
    ("typename", "data", "json"),
    [
        ("io.statefun.types/int", b"\x0d" + struct.pack("<i", -5), b"-5"),
        ("io.statefun.types/int", b"", b"0"),
        ("io.statefun.types/long", b"\x09" + struct.pack("<q", 2**53 - 1), b"9007199254740991"),
        ("io.statefun.types/long", b"\x09" + struct.pack("<q", 2**53 + 1), b'"9007199254740993"'),
        ("io.statefun.types/long", b"\x09" + struct.pack("<q", -(2**63)), b'"-9223372036854775808"'),
        ("io.statefun.types/bool", b"\x08\x01", b"true"),
        ("io.statefun.types/bool", b"", b"false"),
        ("io.statefun.types/double", b"\x09" + struct.pack("<d", 0.5), b"0.5"),
        ("io.statefun.types/float", b"\x0d" + struct.pack("<f", 0.5), b"0.5"),
        ("io.statefun.types/string", b"\x0a\x05hello", b'"hello"'),
        ("io.statefun.types/string", b"", b'""'),
    ],
)
def test_scalars_come_back_as_json(host: Host, typename: str, data: bytes, json: bytes) -> None:
    answer = host.ask("zoo/echo/a", body=data, headers={"Proa-Type": typename})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.body.strip() == json


TAKES = """
kind: proa.v1/endpoint
spec:
  functions:
    zoo/see: {{takes: {takes}}}
  url: {url}
"""


@pytest.mark.parametrize(
    ("takes", "good", "size", "bad"),
    [
        ("io.statefun.types/int", [b"5", b"-2147483648"], 5, [b"2147483648", b"1.5", b'"x"', b"true", b"null"]),
        ("io.statefun.types/long", [b"5", b'"9007199254740993"'], 9, [b"9223372036854775808", b"1.5", b"{}"]),
        ("io.statefun.types/bool", [b"true"], 2, [b"1", b'"true"']),
        ("io.statefun.types/string", [b'"hel"'], 5, [b"5", b"[]"]),
        ("io.statefun.types/double", [b"0.5", b"7"], 9, [b'"x"', b"1e999"]),
    ],
)
def test_takes_turns_json_into_the_type(
    make_host: Callable[[], Host], zoo: PythonFunctions, takes: str, good: list[bytes], size: int, bad: list[bytes]
) -> None:
    host = make_host().configure(module=TAKES.format(takes=takes, url=zoo.url)).start()
    for body in good:
        seen = host.ask("zoo/see/a", body=body).json
        assert (seen["typename"], seen["size"]) == (takes, size)
    for body in bad:
        answer = host.ask("zoo/see/a", body=body)
        assert (answer.status, answer.code) == (400, "bad_value"), body


def test_large_answers(host: Host) -> None:
    for size in (100, 100_000, 7 << 20):
        answer = host.ask("zoo/large/a", size)
        assert answer.status == 200
        assert len(answer.json) == size
