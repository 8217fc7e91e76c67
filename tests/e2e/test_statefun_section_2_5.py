# SPDX-License-Identifier: Apache-2.0
"""StateFun's playground, section 2.5 of its facts: what goes in at its ingress comes out at its egress, once."""

from __future__ import annotations

import json
from collections.abc import Callable

from harness import Answer, Host, ScriptedFunction, free_port, request
from harness.function import Call, Reply
from harness.scripted import Result

Make = Callable[[], Host]
Start = Callable[[Callable[[Call], Reply]], ScriptedFunction]
MODULE = """\
kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: {url}
---
kind: io.statefun.playground.v1/ingress
spec:
  port: {ingress}
---
kind: io.statefun.playground.v1/egress
spec:
  port: {egress}
  topics:
    - greetings
    - quiet
"""
EGRESS, RECORD = "io.statefun.playground/egress", "io.statefun.playground/EgressRecord"


def test_section_2_5_the_playgrounds_doors(make_host: Make, scripted: Start) -> None:
    """Where the playground kept all in memory and told failures in a header, this is durable and has status codes."""

    def answer(call: Call) -> Reply:
        result = Result()
        for invocation in call.batch.invocations:
            if invocation.argument.typename == "example/GreetRequest":
                name = json.loads(invocation.argument.value)["name"]
                record = json.dumps({"topic": "greetings", "payload": f"H\u00e9 {name}"}).encode()
                result.emit(EGRESS, record, RECORD)
            elif invocation.argument.typename == "example/Bad":
                result.emit(EGRESS, invocation.argument.value, RECORD).emit(EGRESS, b"{}", "example/other")
        return result.reply

    function, ingress, egress = scripted(answer), free_port(), free_port()
    host = make_host().configure(module=MODULE.format(url=function.url, ingress=ingress, egress=egress)).start()

    def put(id: str, body: bytes, content_type: str, method: str = "PUT") -> None:
        put = request(ingress, method, f"/example/person/{id}", body, {"Content-Type": content_type})
        assert put.status == 200, put

    def get(topic: str) -> Answer:
        return request(egress, "GET", f"/{topic}")

    assert (get("greetings").status, get("quiet").status, get("unknown").status) == (404, 404, 404)
    function.stop()
    names = ["Ann", "Bob", "Eve"]
    for name in names:
        put("same", json.dumps({"name": name}).encode(), "application/vnd.example/GreetRequest")
    host.restart()  # 200 means that it is on disk
    assert host.metrics()["proa_mailbox_messages"] == 3
    function.start()
    host.await_idle()
    first = function.calls[-1].batch.invocations[0]
    assert not first.HasField("caller")
    assert (first.argument.has_value, first.argument.value) == (True, b'{"name": "Ann"}')
    popped = get("greetings")
    assert (popped.status, popped.body) == (200, "H\u00e9 Ann".encode())
    host.restart()  # what was taken is gone from the disk too, what was not is there
    assert [get("greetings").body.decode() for _ in range(2)] == ["H\u00e9 Bob", "H\u00e9 Eve"]
    assert (get("greetings").status, get("quiet").status) == (404, 404)

    put("typed", b"\x00raw", "application/vnd.Example/Case", method="POST")
    put("text", b"words", "text/plain")
    for bad in (b"no JSON", b'{"payload": "x"}', b'{"topic": "unknown", "payload": "x"}'):
        put("bad", bad, "application/vnd.example/Bad")
    host.await_idle()
    seen = {each.argument.typename: each.argument.value for call in function.calls for each in call.batch.invocations}
    assert seen["Example/Case"] == b"\x00raw"
    assert seen["io.statefun.types/string"] == b"\x0a\x05words"  # in its wrapper, so that SDKs can read it
    assert host.metrics()["proa_parked_messages"] == 6, "records that are none are put aside, no job fails"
    assert get("greetings").status == 404
    for port, method, path, status in (
        (ingress, "PUT", "/example/person", 404),
        (ingress, "PUT", "/nobody/serves/this", 404),
        (ingress, "PUT", "/v1/person/a", 404),
        (egress, "PUT", "/greetings", 405),
        (egress, "GET", "/", 400),
    ):
        assert request(port, method, path, b"x" if method == "PUT" else None).status == status, path
