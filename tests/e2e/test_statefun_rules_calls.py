# SPDX-License-Identifier: Apache-2.0
"""StateFun's rules R1 to R15: how a function is called, what with, and in which order. One test a rule.

A rule that Proa betters has a test of what Proa does instead; docs/statefun.md lists those.
"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections import Counter
from collections.abc import Callable

import pytest
from harness import Host, ScriptedFunction, wait_until
from harness.function import OCTETS, Call, Reply
from harness.scripted import TYPE, Result, address, incomplete, missing, put, sequence, spec, states

Serve = Callable[..., tuple[Host, ScriptedFunction]]
STATEFUN = "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: test/*\n  urlPathTemplate: {url}\n"


def done(call: Call) -> Reply:
    return Result().reply


class Gate:
    """Answers that wait until it is opened; how many wait, and how many ever did at once, in all and for one id."""

    def __init__(self, answer: Callable[[Call], Reply] = done) -> None:
        self.opened = threading.Event()
        self.inside: Counter[str] = Counter()
        self.most = self.most_for_one = 0
        self._answer = answer
        self._lock = threading.Lock()

    def __call__(self, call: Call) -> Reply:
        with self._lock:
            self.inside[address(call)] += 1
            self.most = max(self.most, self.inside.total())
            self.most_for_one = max(self.most_for_one, self.inside[address(call)])
        assert self.opened.wait(60)
        with self._lock:
            self.inside[address(call)] -= 1
        return self._answer(call)


def test_r01_calls_are_posts_of_octets(serve: Serve) -> None:
    host, function = serve(done)
    put(host, "test/f/a", b"1")
    host.await_idle()
    call = function.calls[0]
    assert call.request_line == "POST / HTTP/1.1"
    assert call.headers["content-type"] == OCTETS
    assert int(call.headers["content-length"]) == len(call.body) > 0
    assert "transfer-encoding" not in call.headers


@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_r02_header_fields_and_encoded_answers(serve: Serve, coding: str, encode: Callable[[bytes], bytes]) -> None:
    """User-Agent names Proa; all else is as StateFun's default client sends it."""

    def answer(call: Call) -> Reply:
        body = Result().answer(call, b"text" * 100).reply.result.SerializeToString()
        return Reply(body=encode(body), headers={"Content-Encoding": coding})

    host, function = serve(answer)
    for _ in range(3):
        assert host.ask("test/f/a", 1).body == b"text" * 100
    headers = function.calls[0].headers
    assert headers["accept"] == OCTETS
    assert headers["accept-encoding"] == "gzip,deflate"
    assert headers["user-agent"].startswith("proa/")
    assert headers["host"] == f"127.0.0.1:{function.port}"
    assert headers.get("connection", "keep-alive").lower() == "keep-alive"
    assert len({call.peer_port for call in function.calls}) == 1, "the connection is kept"
    assert host.metrics()["proa_calls_failed_total"] == 0


GOOD = Result().set("never_declared", b"x").message  # would block the type if it were taken
INVALID = {
    "the trap of Undertow's handler": Reply(content_type=None, body=b"", headers={"Status": "500"}),
    "no content type": Reply(GOOD, content_type=None),
    "a content type with a parameter": Reply(GOOD, content_type=OCTETS + "; charset=utf-8"),
    "another content type": Reply(GOOD, content_type="application/x-protobuf"),
    "a redirect": Reply(GOOD, status=302, headers={"Location": "/elsewhere"}),
    "a status over 299": Reply(GOOD, status=300),
    "the function fails": Reply(GOOD, status=500),
    "no FromFunction": Reply(body=b"\xa2\x06\x7f"),
    "an encoding nobody asked for": Reply(GOOD, headers={"Content-Encoding": "rot13"}),
    "encoded twice": Reply(
        body=gzip.compress(gzip.compress(GOOD.SerializeToString())), headers={"Content-Encoding": "gzip, gzip"}
    ),
    "a body that is not encoded as it says": Reply(GOOD, headers={"Content-Encoding": "gzip"}),
    "an encoded body cut short": Reply(body=gzip.compress(b"\xa2\x06\x00")[:3], headers={"Content-Encoding": "gzip"}),
    "the process ends between head and body": Reply(body=b"", has_length=False, is_last=True),
}


@pytest.mark.parametrize("invalid", INVALID.values(), ids=INVALID.keys())
def test_r03_answers_that_do_not_count(serve: Serve, invalid: Reply) -> None:
    """The attempt has failed and changed nothing; the same message comes again."""
    host, function = serve(lambda call: invalid if len(function.calls) <= 2 else done(call))
    put(host, "test/f/a", b"1")
    metrics = host.await_metric("proa_messages_handled_total", 1)
    assert metrics["proa_calls_failed_total"] == 2
    assert metrics["proa_types_blocked"] == metrics["proa_parked_messages"] == 0
    assert [call.values for call in function.calls] == [[b"1"]] * 3


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_r03_every_2xx_counts(serve: Serve, status: int) -> None:
    host, _ = serve(
        lambda call: Reply(Result().answer(call, b"yes").message, status=status, content_type=OCTETS.upper())
    )
    assert host.ask("test/f/a", 1).body == b"yes"
    assert host.metrics()["proa_calls_failed_total"] == 0


def test_r04_an_answer_without_either_arm_is_success(serve: Serve) -> None:
    host, function = serve(lambda call: Reply(body=b""))
    put(host, "test/f/a", b"1", b"2")
    metrics = host.await_metric("proa_messages_handled_total", 2)
    assert metrics["proa_calls_failed_total"] == 0
    assert sequence(function.calls, "test/f/a") == [b"1", b"2"]


def test_r05_what_servers_in_the_field_want(serve: Serve) -> None:
    """No request over 1 MiB where it can be helped, and never `Expect`. The rest is in test_field_servers.py."""
    gate = Gate()
    host, function = serve(gate)
    large = [bytes([65 + number]) * 200_000 for number in range(6)]
    put(host, "test/f/a", *large, b"x" * (1 << 20))
    gate.opened.set()
    host.await_idle()
    assert sequence(function.calls, "test/f/a") == [*large, b"x" * (1 << 20)]
    assert all(len(call.body) <= 1 << 19 for call in function.calls[:-1])
    assert function.calls[-1].values == [b"x" * (1 << 20)]
    assert all("expect" not in call.headers for call in function.calls)


def test_r06_an_instance_is_namespace_name_and_id(serve: Serve) -> None:
    seen = spec("seen")

    def answer(call: Call) -> Reply:
        if missing(call, seen):
            return incomplete(seen)
        return Result().set("seen", (states(call)["seen"] or b"") + b"".join(call.values)).reply

    host, function = serve(answer)
    addresses = ["test/f/a", "test/f/b", "test/g/a", "other/f/a"]
    for round in (b"1", b"2"):
        for number, to in enumerate(addresses):
            put(host, to, round + b"%d" % number)
        host.await_idle()
    last = {address(call): states(call).get("seen") for call in function.calls}
    assert last == {to: b"1%d" % number for number, to in enumerate(addresses)}


def test_r07_one_call_at_a_time_for_an_instance(serve: Serve) -> None:
    gate = Gate()
    gate.opened.set()
    host, function = serve(gate)
    put(host, "test/f/open", b"0")  # a type that never answered gets one call at a time
    host.await_idle()
    gate.opened.clear()
    values = [b"%d" % number for number in range(20)]
    put(host, "test/f/a", *values)
    wait_until(lambda: gate.inside["test/f/a"] == 1, "its first call is under way")
    metrics = host.metrics()
    assert (metrics["proa_mailbox_messages"], metrics["proa_calls_in_flight"]) == (20, 1)
    gate.opened.set()
    host.await_idle()
    assert gate.most_for_one == 1
    assert sequence(function.calls, "test/f/a") == values


def test_r08_what_waits_goes_together(serve: Serve) -> None:
    """Proa's own: at most 100 messages and 512 KiB a call, where StateFun sends everything."""
    gate = Gate()
    host, function = serve(gate)
    put(host, "test/f/a", b"first")
    wait_until(lambda: function.calls, "the first message goes alone, at once")
    put(host, "test/f/a", *(b"%d" % number for number in range(250)))
    gate.opened.set()
    host.await_idle()
    assert [len(call.values) for call in function.calls] == [1, 100, 100, 50]


def test_r09_order_of_a_sender(serve: Serve) -> None:
    """Each instance in arrival order, so each pair of sender and receiver in the order sent."""
    count = 40

    def answer(call: Call) -> Reply:
        result = Result()
        if call.batch.target.type == "sender":
            for value in call.values:
                result.send("test/receiver/r", call.batch.target.id.encode() + value)
        return result.reply

    gate = Gate(answer)
    host, function = serve(gate)
    values = [b"%d" % number for number in range(count)]
    for value in values:
        put(host, "test/sender/a", value)
        put(host, "test/sender/b", value)
    gate.opened.set()  # so that there are batches of many
    host.await_metric("proa_messages_handled_total", 4 * count)
    received = sequence(function.calls, "test/receiver/r")
    for sender in (b"a", b"b"):
        assert [value[1:] for value in received if value[:1] == sender] == values
        assert sequence(function.calls, f"test/sender/{sender.decode()}") == values


def test_r10_instances_run_side_by_side_and_a_message_to_oneself_comes_later(serve: Serve) -> None:
    both = threading.Barrier(2)

    def answer(call: Call) -> Reply:
        if call.values == [b"together"]:
            both.wait(60)
        result = Result()
        if b"1" in call.values:
            has_begun.set()
            assert may_end.wait(60)
            result.send("test/f/a", b"to myself")
        return result.reply

    has_begun, may_end = threading.Event(), threading.Event()
    host, function = serve(answer)
    put(host, "test/f/open", b"0")  # a type that never answered gets one call at a time
    host.await_idle()
    put(host, "test/f/x", b"together")
    put(host, "test/f/y", b"together")
    host.await_idle()
    put(host, "test/f/a", b"1")
    assert has_begun.wait(60)
    put(host, "test/f/a", b"2", b"3")
    may_end.set()
    host.await_metric("proa_messages_handled_total", 7)
    calls = [call.values for call in function.calls if address(call) == "test/f/a"]
    assert calls == [[b"1"], [b"2", b"3"], [b"to myself"]] or calls == [[b"1"], [b"2", b"3", b"to myself"]]


def test_r11_a_repeated_call_has_the_same_messages(serve: Serve) -> None:
    """Unchanged and in order, whatever it is repeated for; only the end of the batch may be cut after a failure."""
    one, two = spec("one"), spec("two")

    def script(call: Call) -> Reply:
        number = len(function.calls)
        wanted = missing(call, *[one, two][: max(0, number - 2)])
        return (
            Reply(status={2: 503, 5: 500}[number])
            if number in (2, 5)
            else incomplete(*wanted)
            if wanted
            else done(call)
        )

    gate = Gate(script)
    host, function = serve(gate)
    values = [b"%d" % number for number in range(10)]
    put(host, "test/f/a", values[0])
    wait_until(lambda: function.calls, "the first call")
    put(host, "test/f/a", *values[1:])
    gate.opened.set()
    host.await_idle()
    away, declares_one, declares_two, failed, half, *_ = function.calls[1:]
    assert away.values == values[1:]
    assert all(call.batch.invocations == away.batch.invocations for call in (declares_one, declares_two, failed))
    assert half.batch.invocations == failed.batch.invocations[: len(half.values)]
    assert [value for call in function.calls[5:] for value in call.values] == values[1:]


def test_r12_one_call_until_the_type_answered(serve: Serve) -> None:
    gate = Gate()
    host, function = serve(gate)
    for round in range(2):
        seen = len(function.calls)
        for id in "abcde":
            put(host, f"test/f/{id}", b"1")
        wait_until(lambda seen=seen: len(function.calls) > seen, "a first call")
        assert host.metrics()["proa_calls_in_flight"] == 1
        assert len(function.calls) == seen + 1
        gate.opened.set()
        host.await_idle()
        gate.opened.clear()
        if round == 0:
            host.stop()
            host.start()


def test_r13_calls_in_flight_are_bounded_and_input_goes_on(serve: Serve) -> None:
    """Proa's own: an endpoint begins with 32 calls; what comes beyond them waits in its mailboxes."""
    gate = Gate()
    gate.opened.set()
    host, _ = serve(gate)
    put(host, "test/f/open", b"0")
    host.await_idle()
    gate.opened.clear()
    for id in range(100):
        put(host, f"test/f/{id}", b"1")
    metrics = host.await_metric("proa_mailbox_messages", 100)
    assert (metrics["proa_calls_in_flight"], metrics["proa_calls_ready"]) == (32, 68)
    wait_until(lambda: gate.inside.total() == 32, "the calls have arrived")
    gate.opened.set()
    host.await_metric("proa_messages_handled_total", 101)


def test_r14_a_full_mailbox_refuses_its_own_clients(
    make_host: Callable[[], Host], scripted: Callable[..., ScriptedFunction]
) -> None:
    """Proa's own: nobody else waits, and messages of functions still enter."""

    def answer(call: Call) -> Reply:
        if call.batch.target.id == "full":
            gate.opened.wait(60)
            return done(call)
        return Result().send("test/f/full", b"from a function").reply

    gate = Gate()
    function = scripted(answer)
    host = make_host().configure(module=STATEFUN.format(url=function.url) + "  maxNumBatchRequests: 5\n").start()
    put(host, "test/f/open", b"1")  # its message is the first of the five
    host.await_metric("proa_messages_handled_total", 1)
    put(host, "test/f/full", *[b"1"] * 4)
    refused = host.send("test/f/full", body=b"1", headers={"Proa-Type": TYPE})
    assert (refused.status, refused.code) == (503, "mailbox_full")
    assert int(refused.headers["retry-after"]) > 0
    put(host, "test/f/other", b"1")
    host.await_metric("proa_mailbox_messages", 6)
    gate.opened.set()
    host.await_idle()
    put(host, "test/f/full", b"1")


def test_r15_a_full_host_holds_results_that_would_add_to_it(serve: Serve) -> None:
    """Proa's own: what would add messages beyond twice --messages-max waits, visibly; the rest drains."""
    drains = threading.Event()

    def answer(call: Call) -> Reply:
        result = Result()
        if call.values[0] == b"many" and not drains.is_set():
            for number in range(50):
                result.send(f"test/f/{number}", b"1")
        return result.reply

    host, function = serve(answer, options=("--messages-max", "10"))
    put(host, "test/f/amplifier", b"many")
    host.await_metric("proa_instances_blocked", 1)
    assert host.metrics()["proa_messages_sent_total"] == 0
    put(host, "test/f/a", b"1")
    host.await_metric("proa_messages_handled_total", 1)
    drains.set()
    host.await_idle()
    assert host.metrics()["proa_instances_blocked"] == 0
    assert sequence(function.calls, "test/f/amplifier").count(b"many") >= 2
