# SPDX-License-Identifier: Apache-2.0
"""StateFun's protocol by subject: bytes on the wire, expiry, URLs, module files, built-in types. One test a section.

The bytes here are made by hand, from the field numbers of StateFun's protocol, by no library.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Host, ScriptedFunction, wait_until
from harness.function import Call, Reply
from harness.host import binary
from harness.scripted import Result, address, incomplete, missing, put, spec, states

Serve = Callable[..., tuple[Host, ScriptedFunction]]
Start = Callable[[Callable[[Call], Reply]], ScriptedFunction]
Make = Callable[[], Host]
DOCUMENT = Path(__file__).resolve().parents[2] / "docs/statefun.md"


def varint(number: int) -> bytes:
    """A number in base 128, the least digit first."""
    return bytes([number]) if number < 128 else bytes([number % 128 + 128]) + varint(number // 128)


def data(number: int, *content: bytes) -> bytes:
    """A field of bytes."""
    joined = b"".join(content)
    return varint(number << 3 | 2) + varint(len(joined)) + joined


def integer(number: int, value: int) -> bytes:
    """A field with a number."""
    return varint(number << 3) + varint(value)


def test_section_1_1_the_bytes_of_calls_and_answers(serve: Serve) -> None:
    value = data(1, b"a/b") + integer(2, 1) + data(3, b"\x00\xff")
    strange = data(3, b"late") + data(4, b"unknown") + integer(2, 1) + data(1, b"a/b") + integer(1013, 7)
    a, b = (data(1, b"test") + data(2, b"f") + data(3, id) for id in (b"a", b"b"))
    declared = data(1, b"seen") + data(2, integer(1, 1) + integer(2, 60000)) + data(3, b"a/b")
    handshake = data(101, data(1, declared), data(1, data(1, b"ttl") + data(3, b"t/t")))
    modify = data(1, integer(1, 1) + data(2, b"seen") + data(3, strange))
    delete = data(1, data(2, b"ttl"))  # DELETE is zero, so it is not there
    assert delete[2:] == b"\x12\x03ttl"
    delayed = data(3, integer(1, 3_600_000) + data(2, b) + data(3, value) + data(11, b"tok"))
    cancel = data(3, integer(10, 1) + data(11, b"tok"))
    soon = data(3, data(2, b) + data(3, strange))
    emitted = data(4, data(1, b"test") + data(2, b"records") + data(3, strange))
    sent = data(2, data(1, b) + data(2, strange))
    everything = data(100, sent, delayed, cancel, soon, emitted, modify, delete, sent)
    answers = [Reply(body=handshake), Reply(body=everything)]
    host, function = serve(lambda call: answers.pop(0) if answers else Reply(body=data(100)))

    put(host, "test/f/a", b"\x00\xff", typename="a/b")
    host.await_idle()
    put(host, "test/f/a", b"", typename="a/b")
    host.await_idle()
    from_outside = data(3, data(2, value))
    unset = data(2, data(1, b"seen")), data(2, data(1, b"ttl"))
    written = data(2, data(1, b"seen") + data(2, strange))
    zero = data(3, data(2, data(1, b"a/b") + integer(2, 1)))
    assert [call.body for call in function.calls if address(call) == "test/f/a"] == [
        data(100, data(1, a), from_outside),
        data(100, data(1, a), *unset, from_outside),
        data(100, data(1, a), written, unset[1], zero),
    ]
    received = [call.body for call in function.calls if address(call) == "test/f/b"]
    head, item = data(1, b) + unset[0] + unset[1], data(3, data(1, a) + data(2, strange))
    batches = [[item] * count for count in (1, 2, 3)]  # the three came together or one by one
    assert all(body in [data(100, head, *batch) for batch in batches] for body in received)
    assert b"".join(received).count(item) == 3
    assert host.metrics()["proa_timers_cancelled_total"] == 1
    assert host.metrics()["proa_outbox_records"] == 1


def test_section_1_7_expiry(serve: Serve) -> None:
    """Never handed out after its time, kept until then: counted from the write, or from the last call."""
    write_s, idle_s, clocks_s = 0.3, 0.9, 0.003  # both clocks count in whole milliseconds
    specs = [spec("none"), spec("write", mode=1, expire_ms=300), spec("idle", mode=2, expire_ms=900)]
    specs += [spec("zero", mode=1, expire_ms=0), spec("late", mode=1, expire_ms=10**18)]
    begun = ended = 0.0
    seen: list[tuple[float, dict[str, bytes | None]]] = []

    def answer(call: Call) -> Reply:
        if wanted := missing(call, *specs):
            return incomplete(*wanted)
        seen.append((time.monotonic(), states(call)))
        result = Result().answer(call, b"1")
        for name, *_ in specs if b'"write"' in call.values else []:
            result.set(name, b"1")
        return result.reply

    def ask(what: str) -> tuple[float, dict[str, bytes | None]]:
        nonlocal begun, ended
        begun = time.monotonic()
        assert host.ask("test/f/a", what).status == 200
        ended = time.monotonic()
        return seen[-1]

    host, _ = serve(answer)
    ask("write")
    write_begun, write_ended = begun, ended
    while begun < write_ended + idle_s + write_s:
        last_begun = begun
        received, brought = ask("look")
        assert brought["write"] or received >= write_begun + write_s - clocks_s
        assert not brought["write"] or begun <= write_ended + write_s + clocks_s
        assert brought["idle"] or received >= last_begun + idle_s - clocks_s
        assert brought["none"] == brought["zero"] == brought["late"] == b"1"
        if not brought["idle"]:
            break  # this machine stood still for so long
        time.sleep(0.05)  # calls in a row, as a busy instance has them
    host.kill()
    outlasts_kill = brought["idle"] and time.monotonic() < begun + idle_s - clocks_s
    host.start()
    if outlasts_kill:
        host.await_metrics(lambda metrics: metrics["proa_state_values_expired_total"] >= 1, "the idle value is gone")
    wait_until(lambda: time.monotonic() > ended + idle_s + clocks_s, "its time is over")
    assert ask("look")[1] == {"none": b"1", "write": None, "idle": None, "zero": b"1", "late": b"1"}
    ask("write")
    begun_again = begun
    received, brought = ask("look")
    assert brought["write"] or received >= begun_again + write_s - clocks_s


def test_section_1_10_urls_and_patterns(make_host: Make, scripted: Start, tmp_path: Path) -> None:
    """Only {function.name} is replaced, wherever it stands after the host, with what a path can hold."""
    function = scripted(lambda call: Result().reply)
    endpoint = "kind: io.statefun.endpoints.v2/http\nspec: {{functions: {pattern}, urlPathTemplate: '{url}'}}\n---\n"
    base = function.url
    module = endpoint.format(pattern="test/*", url=base + "x/{function.name}/y/{function.name}?name={function.name}")
    module += endpoint.format(pattern="test/plain", url=base + "plain")
    host = make_host().configure(module=module).start()
    for to in ("test/one/a", "test/plain/a", "test/two%20and%3F%23/a"):
        put(host, to, b"1")
        host.await_idle()
    assert [call.path for call in function.calls] == [
        "/x/one/y/one?name=one",
        "/plain",
        "/x/two%20and%3F%23/y/two%20and%3F%23?name=two%20and%3F%23",
    ]
    refused = {
        ("test/a", "http://h/{function.namespace}"): "brace",
        ("test/a", "http://{function.name}/"): "host",
        ("test/a", "ftp://h/"): "http://",
        ("test/a/b", "http://h/"): "namespace/name",
        ("test", "http://h/"): "namespace/name",
        ("te*/a", "http://h/"): "star",
        ("test/a*", "http://h/"): "star",
        ("*/*", "http://h/"): "star",
    }
    for (pattern, url), word in refused.items():
        status, printed = check(tmp_path, endpoint.format(pattern=f"'{pattern}'", url=url))
        assert status != 0 and word in printed, (pattern, url, printed)


def check(folder: Path, module: str) -> tuple[int, str]:
    """Status and output of `proa check`."""
    path = folder / "module.yaml"
    path.write_text(module)
    done = subprocess.run([binary(), "check", str(path)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


HEAD = "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: test/f\n  urlPathTemplate: http://h/\n"
OLD_HEAD = HEAD.replace("v2", "v1")
ASYNC_KEYS = {"call": "2m", "connect": "20s", "pool_ttl": "15s", "pool_size": "1024", "payload_max_bytes": "33554432"}
TIMEOUTS = {"call": "1m", "connect": "10s", "read": "10s", "write": "10s"}
WARNED = {  # what stands in a file: what is said of it
    "  transport: {pool_ttl: 1s, pool_size: 7}\n": ["pool_ttl has no effect", "pool_size has no effect"],
    "  transport: {call: 1s, timeouts: {call: 2s}}\n": ["timeouts wins"],
    "  transport: {type: io.statefun.transports.v1/okhttp, call: 1s}\n": ["no key of okhttp"],
    "  transport: {timeouts: {read: 1s, write: 1s}}\n": ["read has no effect", "write has no effect"],
    "  transport: {call: 1s, connect: 2s}\n": ["longer than the whole call"],
    "  transport: {payload_max_bytes: 100000000}\n": ["taken as 67108864"],
    "  transport: {pooltime: 1s}\n  something: else\n": ["pooltime", "something"],
}
REFUSED = {
    "  transport: {type: io.statefun.transports.v9/other}\n": ["transport.type"],
    "  transport: {call: soon}\n": ["transport.call"],
    "  transport: {call: 0}\n": ["no time at all"],
    "  maxNumBatchRequests: many\n": ["maxNumBatchRequests"],
    "  failureMode: perhaps\n": ["failureMode"],
    "---\n" + HEAD: ["test/f"],
    "---\nkind: io.statefun.kafka.v1/ingress\nspec: {}\n": ["Kafka"],
    "---\nkind: io.statefun.kinesis.v1/egress\nspec: {}\n": ["Kinesis"],
    "---\nkind: io.statefun.endpoints.v3/http\nspec: {}\n": ["v3/http"],
}
SILENT = (
    "",
    "---\n---\n",
    "  failureMode: drop\n  maxNumBatchRequests: -1\n",
    "  transport: {call: 2 min, connect: 1500, payload_max_bytes: 1000}\n",
    "  transport: {type: io.statefun.transports.v1/okhttp, timeouts: {call: 30 seconds, connect: 1s}}\n",
)


def test_section_2_1_keys_of_endpoints(make_host: Make, scripted: Start, tmp_path: Path) -> None:
    """Taken, warned of or refused as documented, with StateFun's defaults; deadlines and limits count."""
    for keys, words in (WARNED | REFUSED).items():
        status, printed = check(tmp_path, HEAD + keys)
        assert (status == 0) == (keys in WARNED), (keys, printed)
        assert all(word in printed for word in words), (keys, printed)
    for keys in SILENT:
        assert re.match("[^\n]*module.yaml: 1 endpoint, 1 function, 0 egresses\n", check(tmp_path, HEAD + keys)[1])
    for missing_key in ("functions", "urlPathTemplate"):
        without = "".join(line for line in HEAD.splitlines(True) if missing_key not in line)
        status, printed = check(tmp_path, without)
        assert status != 0 and missing_key in printed
    assert "timeouts.read has no effect" in check(tmp_path, OLD_HEAD + "  timeouts: {read: 1s}\n")[1]
    assert check(tmp_path, "version: '3.0'\nmodule: {meta: {type: remote}, spec: {endpoints: []}}\n")[0] != 0

    row = r"^\| `(transport\.[a-z_.]+|maxNum\w+)` \| `?([^`|]*?)`? \|"
    rows = dict(re.findall(row, DOCUMENT.read_text(), re.MULTILINE))
    expected = {f"transport.{key}": default for key, default in ASYNC_KEYS.items()}
    expected |= {f"transport.timeouts.{key}": default for key, default in TIMEOUTS.items()}
    expected |= {"maxNumBatchRequests": "1000", "transport.type": "io.statefun.transports.v1/async"}
    assert {key: rows[key] for key in expected} == expected

    times: list[float] = []
    given_up = threading.Event()

    def answer(call: Call) -> Reply:
        times.append(time.monotonic())
        if len(times) == 1:
            given_up.wait(60)
        given_up.set()  # the call is made again because `call` was over, for the first one still hangs
        return Result().answer(call, b"x" * (2000 if len(times) == 2 else 900)).reply

    text = HEAD.replace("http://h/", scripted(answer).url) + "  transport: {call: 2 s, payload_max_bytes: 1000}\n"
    host = make_host().configure(module=text).start()
    asked = time.monotonic()
    assert host.ask("test/f/a", 1).body == b"x" * 900
    assert times[1] - asked >= 2
    assert host.metrics()["proa_calls_failed_total"] == 2


BUILT_IN = {
    "bool": {b"true": b"\x08\x01", b"false": b""},
    "int": {b"1": b"\x0d\x01\0\0\0", b"-1": b"\x0d\xff\xff\xff\xff", b"-2147483648": b"\x0d\0\0\0\x80", b"0": b""},
    "long": {b"1": b"\x09\x01" + bytes(7), b"-1": b"\x09" + b"\xff" * 8, b"0": b""},
    "float": {b"1.0": b"\x0d\0\0\x80\x3f", b"-0.0": b"\x0d\0\0\0\x80", b"0.0": b""},
    "double": {b"1.0": b"\x09" + bytes(6) + b"\xf0\x3f", b"0.1": b"\x09" + struct.pack("<d", 0.1), b"0.0": b""},
    "string": {b'"Hello"': b"\x0a\x05Hello", '"h\u00e9\u00e9"'.encode(): b"\x0a\x05h\xc3\xa9\xc3\xa9", b'""': b""},
}
TAKES = "kind: proa.v1/endpoint\nspec: {{functions: {{test/f: {{takes: {typename}}}}}, url: '{url}'}}\n"


@pytest.mark.parametrize("name", BUILT_IN)
def test_section_3_1_built_in_types(make_host: Make, scripted: Start, name: str) -> None:
    """JSON of a client becomes the canonical bytes, zero being none, and the function's bytes become JSON again."""
    typename = f"io.statefun.types/{name}"

    def answer(call: Call) -> Reply:
        argument = call.batch.invocations[0].argument
        assert argument.has_value and argument.typename == typename
        return Result().answer(call, argument.value, typename).reply

    function = scripted(answer)
    module = TAKES.format(typename=typename, url=function.url)
    host = make_host().configure(module=module).start()
    for text, encoded in BUILT_IN[name].items():
        answered = host.ask("test/f/a", body=text, headers={"Content-Type": "application/json"})
        assert function.calls[-1].values == [encoded]
        assert answered.headers["content-type"] == "application/json"
        assert answered.json == json.loads(text)
        raw = host.ask("test/f/a", body=encoded, headers={"Content-Type": f"application/vnd.{typename}"})
        assert (function.calls[-1].values, raw.json) == ([encoded], answered.json)
