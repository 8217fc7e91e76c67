# SPDX-License-Identifier: Apache-2.0
"""The client's API: paths, methods, parameters, and what every answer carries."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from urllib.parse import quote

import pytest
from harness import Host, PythonFunctions, raw_request, request

pytestmark = pytest.mark.threads


def test_ask_answers_and_remembers(host: Host) -> None:
    first, second = host.ask("zoo/counter/bob", 5), host.ask("zoo/counter/bob", 2)
    assert (first.status, first.json) == (200, 5)
    assert (second.status, second.json) == (200, 7)
    assert first.headers["content-type"] == "application/json"
    assert first.headers["proa-invocation"] != second.headers["proa-invocation"]


def test_send_is_accepted_and_done(host: Host) -> None:
    answer = host.send("zoo/counter/bob", 5)
    assert answer.status == 202
    assert answer.json == {"invocation": answer.headers["proa-invocation"]}
    host.await_idle()
    assert host.ask("zoo/counter/bob", 1).json == 6


def test_no_content(host: Host) -> None:
    answer = host.ask("zoo/nothing/a", 1)
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize("id", ["a/b", "ü/ñ…漢字🚣", " space", "%", "+", "..", "a?b#c", "x" * 3000, "\t\n", "ä" * 2000])
def test_any_text_is_an_id(host: Host, id: str) -> None:
    path = f"zoo/see/{quote(id, safe='')}"
    assert host.ask(path, 1).json["id"] == id


def test_escaped_slash_is_another_id_than_a_path(host: Host) -> None:
    assert host.ask("zoo/counter/a%2Fb", 3).json == 3
    assert host.ask("zoo/counter/a%2fb", 3).json == 6
    assert host.ask("zoo/counter/a/b", 3).status == 404


def test_long_ids_with_one_prefix_are_two_instances(host: Host) -> None:
    prefix = "p" * 300
    assert host.ask(f"zoo/counter/{prefix}a", 1).json == 1
    assert host.ask(f"zoo/counter/{prefix}b", 2).json == 2
    host.restart()
    assert host.ask(f"zoo/counter/{prefix}a", 1).json == 2
    assert host.ask(f"zoo/counter/{prefix}b", 2).json == 4


@pytest.mark.parametrize("id", ["a%00b", "%00", "%ff", "%c3%28", "%ed%a0%80", "a%", "%zz", "", "x" * 5000])
def test_bad_ids_are_refused(host: Host, id: str) -> None:
    answer = host.ask(f"zoo/counter/{id}", 1)
    assert answer.status == 400
    assert answer.code == "bad_path"


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/ask/zoo/counter", "/v2/ask/zoo/counter/a", "/v1/tell/zoo/counter/a"])
def test_unknown_paths(host: Host, path: str) -> None:
    answer = request(host.ingress_port, "POST", path, b"1")
    assert answer.status == 404
    assert answer.code == "not_found"


@pytest.mark.parametrize("target", ["zoo/nobody/a", "other/counter/a"])
def test_unknown_functions(make_host: Callable[[], Host], zoo: PythonFunctions, target: str) -> None:
    host = make_host().configure({"zoo/counter": zoo.url}).start()
    answer = host.ask(target, 1)
    assert (answer.status, answer.code) == (404, "unknown_function")
    assert target.rpartition("/")[0] in answer.json["detail"]


@pytest.mark.parametrize("target", ["proa/reply/00000000000000000000000000000000", "proa/anything/a"])
def test_the_namespace_of_the_host_is_refused(host: Host, target: str) -> None:
    answer = host.ask(target, 1)
    assert answer.status in (400, 404)
    assert answer.json["source"] == "host"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods(host: Host, method: str) -> None:
    answer = request(host.ingress_port, method, "/v1/ask/zoo/counter/a")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("verb", "query"),
    [
        ("ask", "timeout=0.5s"),
        ("ask", "timeout=10"),
        ("ask", "timeout=-1s"),
        ("ask", "timeout="),
        ("ask", "timeout=11m"),
        ("ask", "timeout=99999999999999999999s"),
        ("ask", "timeotu=1s"),
        ("send", "delay=soon"),
        ("send", "delay=1w"),
    ],
)
def test_bad_parameters(host: Host, verb: str, query: str) -> None:
    answer = host._post(verb, "zoo/counter/a", 1, query)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert re.search(r"timeout|timeotu|delay", answer.json["detail"].lower())


@pytest.mark.parametrize("query", ["timeout=60s", "timeout=60000ms", "timeout=10m", ""])
def test_good_timeouts(host: Host, query: str) -> None:
    assert host.ask("zoo/counter/a", 1, query=query).status == 200


def test_large_bodies(host: Host) -> None:
    assert host.ask("zoo/see/a", body=b"x" * (1 << 20), headers={"Proa-Type": "a/b"}).json["size"] == 1 << 20
    answer = host.ask("zoo/see/a", body=b"x" * ((1 << 20) + 1), headers={"Proa-Type": "a/b"})
    assert (answer.status, answer.code) == (413, "too_large")


def test_garbage_instead_of_http(host: Host) -> None:
    for data in (b"GET\r\n\r\n", b"POST /v1/ask/zoo/counter/a HTTP/1.1\r\n\r\n", b"\xff" * 70000):
        try:
            reply = raw_request(host.ingress_port, data)
        except OSError as error:
            assert not isinstance(error, TimeoutError), f"{data[:20]!r} is neither answered nor hung up on"
            continue  # the host hung up before it had read it all
        assert not reply or reply.startswith(b"HTTP/1.")
    with socket.create_connection(("127.0.0.1", host.ingress_port)) as connection:
        connection.sendall(b"\x00" * 100)  # a line without an end: more may follow
    assert host.ask("zoo/counter/a", 1).status == 200


def test_reason_of_every_refusal_stands_in_it(host: Host) -> None:
    answer = host.ask("zoo/counter/%00", 1)
    assert answer.json["source"] == "host"
    assert answer.json["detail"].strip()
    assert answer.json["invocation"] == answer.headers["proa-invocation"]


def test_health_and_metrics(host: Host) -> None:
    assert host.admin("/healthz").status == 200
    assert host.admin("/readyz").status == 200
    page = host.admin("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    names = set(re.findall(r"^# HELP (\S+) \S", page.body.decode(), re.MULTILINE))
    types = set(re.findall(r"^# TYPE (\S+) (?:gauge|counter|histogram)$", page.body.decode(), re.MULTILINE))
    assert names == types
    assert len(names) > 30
    assert host.admin("/nothing").status == 404
    assert request(host.admin_port, "POST", "/metrics", b"").status == 405


def test_traceparent_is_passed_on(host: Host) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    host.ask("zoo/see/a", 1)  # the endpoint's first answer says that it takes trace contexts
    seen = host.ask("zoo/see/a", 1, headers={"traceparent": trace}).json
    assert seen["traceparent"] == trace
    assert re.fullmatch(r"[0-9a-f]{32}-\d+", seen["message_id"])


def test_bad_traceparent_is_ignored(host: Host) -> None:
    for trace in ("00-zz", "x" * 500, "00-" + "0" * 32 + "-" + "0" * 16 + "-01"):
        assert host.ask("zoo/counter/a", 1, headers={"traceparent": trace}).status == 200
