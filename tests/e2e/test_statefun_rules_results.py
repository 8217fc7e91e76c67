# SPDX-License-Identifier: Apache-2.0
"""StateFun's rules R16 to R32: what becomes of an answer, of state, and of delayed messages. One test a rule.

A rule that Proa betters has a test of what Proa does instead; docs/statefun.md lists those.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable

import lmdb
import pytest
from harness import Host, ScriptedFunction, wait_until
from harness.function import Call, Reply
from harness.scripted import TYPE, Result, address, incomplete, missing, put, sequence, spec, states
from proa import _wire_pb2 as wire

Serve = Callable[..., tuple[Host, ScriptedFunction]]
Start = Callable[[Callable[[Call], Reply]], ScriptedFunction]
HOUR_MS = 3_600_000
CRC_BYTES = 4
UNKNOWN = b"\x22\x03abc\xa8\x3f\x07"  # fields 4 and 1013 of a TypedValue, of which there are none


def done(call: Call) -> Reply:
    return Result().reply


def by_value(answers: dict[bytes, Callable[[], Result]], *specs: tuple[str, str, int, int]) -> Callable[[Call], Reply]:
    """A function that declares values and answers each message as it says, others without effects."""

    def answer(call: Call) -> Reply:
        if wanted := missing(call, *specs):
            return incomplete(*wanted)
        result = Result()
        for value in call.values:
            if value in answers:
                result.done.MergeFrom(answers[value]().done)
        return result.reply

    return answer


def last_states(function: ScriptedFunction, to: str) -> dict[str, bytes | None]:
    """The values that the last call for an address brought."""
    return states([call for call in function.calls if address(call) == to][-1])


def values_of(host: Host, egress: str = "test/records") -> list[bytes]:
    """The records of an egress; stops the host."""
    host.stop()
    return [base64.b64decode(record["base64"]) for record in host.egress(egress)]


def test_r16_an_answer_is_applied_whole_and_in_order(serve: Serve) -> None:
    """Messages, then delayed ones and cancels as listed, then egress, then state; or nothing of all that."""
    value = spec("value")

    def whole() -> Result:
        return (
            Result()
            .delay("test/f/b", 0, b"delayed")
            .delay("test/f/b", HOUR_MS, b"cancelled", "token")
            .cancel("token")
            .send("test/f/b", b"sent")
            .emit("test/records", b"first")
            .emit("test/records", b"second")
            .set("value", b"old")
            .set("value", b"new")
        )

    broken = {b"broken": lambda: whole().set("undeclared", b"")}
    host, function = serve(by_value(broken, value))
    put(host, "test/f/a", b"broken")
    host.await_metric("proa_types_blocked", 1)
    counted = ("proa_messages_sent_total", "proa_messages_delayed_total", "proa_egress_records_total")
    metrics = host.metrics()
    assert [metrics[name] for name in counted] == [0, 0, 0]
    function.answer = by_value({b"whole": whole}, value)  # mended: the message comes again
    host.await_metric("proa_messages_handled_total", 1)
    put(host, "test/f/a", b"whole")
    host.await_metric("proa_messages_handled_total", 4)
    host.stop()
    host.start()
    put(host, "test/f/a", b"look")
    host.await_idle()
    assert sequence(function.calls, "test/f/b") == [b"sent", b"delayed"]
    assert last_states(function, "test/f/a") == {"value": b"new"}
    assert values_of(host) == [b"first", b"second"]


def test_r17_values_pass_through_as_they_are(serve: Serve) -> None:
    """Typename, has_value and bytes unchecked, unknown fields kept: in mailbox, timer, state and egress."""
    plain = wire.TypedValue(typename="any thing", has_value=True, value=b"\x00\xff").SerializeToString()
    valueless = wire.TypedValue(typename="", has_value=False, value=b"bytes all the same").SerializeToString()
    passed = [plain + UNKNOWN, valueless, b""]
    kept = wire.TypedValue(typename=TYPE, has_value=True, value=b"kept").SerializeToString() + UNKNOWN
    obstacle = threading.Event()

    def answer(call: Call) -> Reply:
        if wanted := missing(call, spec("value")):
            return incomplete(*wanted)
        result = Result()
        if call.batch.target.id == "b":
            return result.reply if obstacle.is_set() else Reply(status=503)
        for data in passed if call.values == [b"start"] else []:
            result.send("test/f/b").delay("test/f/b", 1).emit("test/records")
            arguments = (result.done.outgoing_messages, result.done.delayed_invocations, result.done.outgoing_egresses)
            for items in arguments:
                items[-1].argument.Clear()
                items[-1].argument.MergeFromString(data)
        result.set("value", b"")
        result.done.state_mutations[0].state_value.Clear()
        result.done.state_mutations[0].state_value.MergeFromString(kept)
        return result.reply

    host, function = serve(answer)
    put(host, "test/f/a", b"start")
    host.await_metric("proa_mailbox_messages", 2 * len(passed))
    host.restart()
    obstacle.set()
    host.await_idle()
    put(host, "test/f/a", b"look")
    host.await_idle()
    got = [each.argument for call in function.calls if address(call) == "test/f/b" for each in call.batch.invocations]
    expected = [wire.TypedValue.FromString(data) for data in passed]
    assert got[-2 * len(passed) :] == expected * 2
    assert function.calls[-1].batch.state[0].state_value == wire.TypedValue.FromString(kept)
    host.stop()
    for row, data in zip(outbox_rows(host), passed, strict=True):
        assert row[:-CRC_BYTES].endswith(len(data).to_bytes(4, "little") + data)


def outbox_rows(host: Host) -> list[bytes]:
    """The records of all egresses of a stopped host as they are on disk: a value is the last field before the CRC."""
    with lmdb.open(str(host.data), max_dbs=32, readonly=True, lock=False) as environment:
        with environment.begin() as transaction:
            table = environment.open_db(b"outbox", transaction, create=False)
            return [bytes(value) for _, value in transaction.cursor(table)]


def test_r18_names_stars_and_the_unknown(make_host: Callable[[], Host], scripted: Start) -> None:
    """An exact name wins over a star. Proa's own: what goes to nobody is parked, and the rest of its answer holds."""

    def answer(call: Call) -> Reply:
        result = Result().send("nobody/serves/this", b"1").delay("nobody/serves/this", 1, b"2")
        return result.emit("no/egress", b"3").send("other/f/b", b"4").reply

    one, star, other = scripted(answer), scripted(done), scripted(done)
    functions = {"test/*": star.url, "test/one": one.url, "other/*": other.url}
    host = make_host().configure(functions).start()
    put(host, "test/two/a", b"0")
    put(host, "test/one/a", b"0")
    host.await_metric("proa_messages_handled_total", 3)
    host.await_metric("proa_parked_messages", 3)  # the last of them when it is due
    assert [address(call) for call in one.calls + star.calls] == ["test/one/a", "test/two/a"]
    assert sequence(other.calls, "other/f/b") == [b"4"]
    refused = host.send("nobody/serves/this", 1)
    assert (refused.status, refused.code) == (404, "unknown_function")


def test_r19_callers(serve: Serve) -> None:
    """No field at all for a message from outside; the sender otherwise, of a delayed message too."""

    def answer(call: Call) -> Reply:
        result = Result()
        if call.values == [b"start"]:
            result.send("test/f/sent").delay("test/f/delayed", 1)
        elif call.batch.invocations[0].HasField("caller") and call.batch.target.id == "asked":
            result.answer(call, b"1")
        return result.reply

    host, function = serve(answer)
    put(host, "test/f/outside", b"start")
    assert host.ask("test/f/asked", 1).body == b"1"
    host.await_metric("proa_messages_handled_total", 4)
    invocations = {address(call): call.batch.invocations[0] for call in function.calls}
    argument = wire.TypedValue(typename=TYPE, has_value=True, value=b"start").SerializeToString()
    assert function.calls[0].body.endswith(
        b"\x1a" + bytes([len(argument) + 2]) + b"\x12" + bytes([len(argument)]) + argument
    )
    assert not invocations["test/f/outside"].HasField("caller")
    outside = wire.Address(namespace="test", type="f", id="outside")
    assert invocations["test/f/sent"].caller == outside
    assert invocations["test/f/delayed"].caller == outside
    caller = invocations["test/f/asked"].caller
    assert (caller.namespace, caller.type, len(caller.id)) == ("proa", "reply", 32)


def test_r20_a_type_declares_its_values_once(serve: Serve) -> None:
    one, two = spec("one"), spec("two")
    host, function = serve(by_value({}, one, two))
    for id in "ab":
        put(host, f"test/f/{id}", b"1", b"2")
        host.await_idle()
    assert [set(states(call)) for call in function.calls][:2] == [set(), {"one", "two"}]
    assert host.metrics()["proa_handshakes_total"] == 1
    assert host.metrics()["proa_messages_handled_total"] == 4
    assert function.calls[1].batch.invocations[0] == function.calls[0].batch.invocations[0]
    host.restart()  # the declarations stay: nothing is asked for again
    put(host, "test/f/c", b"1")
    host.await_idle()
    assert set(states(function.calls[-1])) == {"one", "two"}
    assert host.metrics()["proa_handshakes_total"] == 0


def test_r21_a_value_that_is_not_set_has_only_its_name(serve: Serve) -> None:
    host, function = serve(by_value({b"set": lambda: Result().set("state", b"1")}, spec("state")))
    put(host, "test/f/a", b"1")
    host.await_idle()
    assert function.calls[-1].body.count(b"\x12\x07\x0a\x05state") == 1
    put(host, "test/f/a", b"set")
    host.await_idle()
    put(host, "test/f/a", b"2")
    host.await_idle()
    assert b"\x12\x07\x0a\x05state" not in function.calls[-1].body


def test_r22_a_value_without_bytes_is_a_value(serve: Serve) -> None:
    host, function = serve(by_value({b"zero": lambda: Result().set("state", b"", "t/t")}, spec("state", "t/t")))
    put(host, "test/f/a", b"zero")
    host.await_idle()
    for _ in range(2):
        put(host, "test/f/a", b"look")
        host.await_idle()
        brought = function.calls[-1].batch.state[0]
        assert brought.HasField("state_value")
        assert brought.state_value == wire.TypedValue(typename="t/t", has_value=True)
        assert b"\x12\x10\x0a\x05state\x12\x07\x0a\x03t/t\x10\x01" in function.calls[-1].body
        host.restart()


def test_r23_values_no_longer_declared_still_come(serve: Serve) -> None:
    host, function = serve(by_value({b"set": lambda: Result().set("old", b"1")}, spec("old")))
    put(host, "test/f/a", b"set")
    host.await_idle()
    function.answer = by_value({b"set": lambda: Result().set("new", b"2")}, spec("new"))
    put(host, "test/f/a", b"set")
    host.await_idle()
    put(host, "test/f/a", b"look")
    host.await_idle()
    assert last_states(function, "test/f/a") == {"old": b"1", "new": b"2"}


def test_r24_the_first_declaration_wins(serve: Serve) -> None:
    """A changed expiry changes nothing. Proa's own: another typename blocks the type until it is mended."""
    host, function = serve(by_value({b"set": lambda: Result().set("value", b"1")}, spec("value")))
    put(host, "test/f/a", b"set")
    host.await_idle()
    again = [spec("value", mode=1, expire_ms=1), spec("unset", typename="")]
    declare = incomplete(*again)
    function.answer = lambda call: declare if "unset" not in states(call) else done(call)
    put(host, "test/f/a", b"1")
    host.await_idle()
    put(host, "test/f/a", b"2")
    host.await_idle()
    assert last_states(function, "test/f/a") == {"value": b"1", "unset": None}
    for typename in ("other/type", ""):  # nothing stands for io.statefun.types/unset
        function.answer = lambda call, typename=typename: incomplete(spec("value", typename))
        put(host, "test/f/b", b"1")
        host.await_metric("proa_types_blocked", 1)
        blocked = [event["text"] for event in host.events() if event["event"] == "type.blocked"]
        assert f"was declared as {TYPE}, now as {typename or 'io.statefun.types/unset'};" in blocked[-1]
        function.answer = by_value({}, spec("value"), spec("unset", "io.statefun.types/unset"))
        host.await_idle()
        assert host.metrics()["proa_types_blocked"] == 0
    assert host.metrics()["proa_parked_messages"] == 0


BREACHES: dict[str, Callable[[], Result]] = {
    "written and not declared": lambda: Result().set("never", b"1"),
    "cleared and not declared": lambda: Result().delete("never"),
    "written with another type": lambda: Result().set("value", b"1", "other/type"),
}


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES.keys())
def test_r25_what_is_written_must_be_declared(serve: Serve, breach: Callable[[], Result]) -> None:
    """has_value is not looked at. What breaks the rule blocks the type, and nothing of its answer is kept."""

    def valueless() -> Result:
        result = Result().set("value", b"bytes")
        result.done.state_mutations[0].state_value.has_value = False
        return result

    host, function = serve(by_value({b"set": valueless, b"clear": lambda: Result().delete("value")}, spec("value")))
    put(host, "test/f/a", b"set")
    host.await_idle()
    put(host, "test/f/a", b"look")
    host.await_idle()
    kept = wire.TypedValue(typename=TYPE, has_value=True, value=b"bytes")
    assert function.calls[-1].batch.state[0].state_value == kept
    broken = lambda call: breach().send("test/f/b").set("value", b"2").reply  # noqa: E731
    mended, function.answer = function.answer, broken
    put(host, "test/f/a", b"1")
    host.await_metric("proa_types_blocked", 1)
    function.answer = mended
    host.await_idle()
    assert function.calls[-1].batch.state[0].state_value == kept
    assert sequence(function.calls, "test/f/b") == []
    put(host, "test/f/a", b"clear")
    host.await_idle()
    put(host, "test/f/a", b"look")
    host.await_idle()
    assert last_states(function, "test/f/a") == {"value": None}


def test_r26_changes_of_one_value_apply_in_order(serve: Serve) -> None:
    answers = {
        b"1": lambda: Result().set("v", b"a").delete("v").set("v", b"b"),
        b"2": lambda: Result().set("v", b"c").delete("v"),
    }
    host, function = serve(by_value(answers, spec("v")))
    seen = []
    for message in (b"1", b"2", b"look"):
        put(host, "test/f/a", message)
        host.await_idle()
        seen.append(last_states(function, "test/f/a")["v"])
    assert seen == [None, b"b", None]


def test_r27_what_comes_back_has_the_declared_type(serve: Serve) -> None:
    """SDKs compare the typename or do not: it is the one that was declared, byte for byte, ever after."""
    odd = "Any Thing/h\u00e9\u00e9 "
    host, function = serve(by_value({b"set": lambda: Result().set("v", b"1", odd)}, spec("v", odd)))
    put(host, "test/f/a", b"set")
    host.await_idle()
    host.stop()  # a kill might take back what nobody was promised: that the value is on disk
    host.start()
    put(host, "test/f/a", b"look")
    host.await_idle()
    assert function.calls[-1].batch.state[0].state_value == wire.TypedValue(typename=odd, has_value=True, value=b"1")


def test_r28_an_endless_handshake_is_capped(serve: Serve) -> None:
    """Proa's own: after three in a row that bring nothing new the type is blocked, and tried again with pauses."""
    blocked_before: list[float] = []

    def answer(call: Call) -> Reply:
        blocked_before.append(host.metrics()["proa_types_blocked"])
        return incomplete(spec("v"))

    host, function = serve(answer)
    put(host, "test/f/a", b"1")
    wait_until(lambda: len(blocked_before) > 4, "it is tried again")
    assert blocked_before[:5] == [0, 0, 0, 0, 1]  # the first of four declared something
    blocked = next(event for event in host.events() if event["event"] == "type.blocked")
    assert blocked["subject"] == "test/f" and "again and again" in blocked["text"]
    function.answer = done
    host.await_idle()
    assert host.metrics()["proa_types_blocked"] == 0


def test_r29_delays(serve: Serve) -> None:
    """Never early, late rather than lost, in order when due together. Proa's own: a negative one fails its message."""
    due: dict[bytes, float] = {}
    got: dict[bytes, float] = {}
    again: list[float] = []

    def answer(call: Call) -> Reply:
        result = Result()
        for value in call.values:
            got.setdefault(value, time.monotonic())
            if value == b"soon 0" and b"on disk" in got:
                again[:] = [time.monotonic()]
            if value == b"start":
                for number in range(5):
                    result.delay("test/f/b", 0, b"now %d" % number).delay("test/f/b", 150, b"soon %d" % number)
                result.delay("test/f/b", HOUR_MS, b"never")
                due[b"soon 0"] = time.monotonic() + 0.148  # two clocks, both in whole milliseconds
        if b"negative" in call.values and sequence(function.calls, "test/f/a").count(b"negative") <= 2:
            result.delay("test/f/b", -1, b"negative").send("test/f/b", b"not sent")
        return result.reply

    host, function = serve(answer)
    put(host, "test/f/a", b"start")
    host.await_metrics(lambda metrics: metrics["proa_timers_fired_total"] >= 5, "those without delay have fired")
    host.await_metrics(lambda metrics: metrics["proa_promises_waiting"] == 0, "nobody waits for the disk")
    put(host, "test/f/a", b"on disk")  # an acknowledgement after the answer: so the delayed messages are on disk
    host.kill()
    wait_until(lambda: time.monotonic() > due[b"soon 0"] + 0.1, "they are overdue")
    host.start()
    host.await_metric("proa_timers", 1)
    host.await_metric("proa_mailbox_messages", 0)
    received = list(dict.fromkeys(sequence(function.calls, "test/f/b")))
    assert received == [b"%s %d" % (when, number) for when in (b"now", b"soon") for number in range(5)]
    assert got[b"soon 0"] >= due[b"soon 0"]
    put(host, "test/f/a", b"start")  # and once without a crash
    host.await_metric("proa_timers", 2)
    host.await_metric("proa_mailbox_messages", 0)
    assert again[0] >= due[b"soon 0"]
    put(host, "test/f/a", b"negative")
    host.await_metric("proa_mailbox_messages", 0)
    assert host.metrics()["proa_calls_failed_total"] == 2
    assert b"not sent" not in sequence(function.calls, "test/f/b")


def test_r30_a_token_in_use(serve: Serve) -> None:
    """Proa's own: the second message is parked under its sender, the rest of its answer holds."""
    answers = {
        b"wait": lambda: Result().delay("test/f/b", HOUR_MS, b"first", "t").delay("test/f/b", 0, b"no token"),
        b"again": lambda: Result().delay("test/f/b", 0, b"second", "t").send("test/f/b", b"the rest"),
        b"cancel": lambda: Result().cancel("t").delay("test/f/b", 0, b"free again", "t"),
    }
    host, function = serve(by_value(answers))
    for message in answers:
        put(host, "test/f/a", message)
        host.await_metric("proa_mailbox_messages", 0)
        assert host.metrics()["proa_parked_messages"] == (message != b"wait")
    host.await_idle()
    assert sequence(function.calls, "test/f/b") == [b"no token", b"the rest", b"free again"]
    put(host, "test/f/a", b"cancel")  # and free once it has fired
    host.await_idle()
    assert sequence(function.calls, "test/f/b")[-1] == b"free again"
    assert host.metrics()["proa_parked_messages"] == 1


def test_r31_a_token_belongs_to_the_senders_address(serve: Serve) -> None:
    """Proa's own: another type's instance of the same id neither collides nor cancels."""
    answers = {b"wait": lambda: Result().delay("test/f/b", HOUR_MS, b"", "t"), b"cancel": lambda: Result().cancel("t")}
    host, _ = serve(by_value(answers))
    for sender in ("test/f/a", "test/g/a", "other/f/a"):
        put(host, sender, b"wait")
    host.await_metric("proa_timers", 3)
    assert host.metrics()["proa_parked_messages"] == 0
    put(host, "test/g/a", b"cancel")
    host.await_metric("proa_timers", 2)
    put(host, "test/f/b", b"cancel")  # the target is no owner either
    host.await_metric("proa_mailbox_messages", 0)
    assert host.metrics()["proa_timers_cancelled_total"] == 1


def test_r32_cancels(serve: Serve) -> None:
    """Of the unknown and the done: nothing. Sent and cancelled at once: works. Proa's own: without a token it fails."""
    answers = {
        b"unknown": lambda: Result().cancel("never used"),
        b"both": lambda: Result().delay("test/f/b", HOUR_MS, b"cancelled", "t").cancel("t"),
        b"now": lambda: Result().delay("test/f/b", 0, b"fired", "t"),
        b"done": lambda: Result().cancel("t"),
        b"other order": lambda: Result().cancel("t").delay("test/f/b", HOUR_MS, b"waits", "t"),
        b"no token": lambda: Result().cancel("").send("test/f/b", b"not sent"),
    }
    host, function = serve(by_value(answers))
    for message in list(answers)[:-1]:
        put(host, "test/f/a", message)
        host.await_metric("proa_mailbox_messages", 0)
    metrics = host.await_metric("proa_timers", 1)
    assert (metrics["proa_timers_cancelled_total"], metrics["proa_calls_failed_total"]) == (1, 0)
    put(host, "test/f/a", b"no token")
    host.await_metrics(lambda metrics: metrics["proa_calls_failed_total"] >= 2, "the answer is refused and tried again")
    assert host.metrics()["proa_types_blocked"] == 0
    function.answer = done
    host.await_metric("proa_mailbox_messages", 0)
    assert sequence(function.calls, "test/f/b") == [b"fired"]
