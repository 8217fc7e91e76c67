# SPDX-License-Identifier: Apache-2.0
"""What a function can do, done by a function on each of StateFun's SDKs, none of which knows of Proa."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Host, ScriptedFunction, wait_until
from harness.function import Call, Reply
from instances import EGRESS, look, module_of, program, run, send, start_host
from languages import LANGUAGES, Language, Program
from proa import _wire_pb2 as wire

MakeProgram = Callable[[Language], Program]
Start = Callable[[Callable[[Call], Reply]], ScriptedFunction]
BRIEF_S, IDLE_S = 0.3, 0.9
CLOCKS_DIFFER_S = 0.002  # the host's clock counts whole milliseconds
NOTHING = {"count": None, "total": None, "word": None, "blob": None, "seen": None, "flag": None}
ZEROS = {"count": 0, "word": "", "flag": False}
VALUES = {
    "bool": (True, False),
    "int": (1, 0, -1, 2**31 - 1, -(2**31)),
    "long": (1, 0, -1, 2**63 - 1, -(2**63)),
    "float": (1.5, 0.0, -0.25),
    "double": (1.5, 0.0, 0.1),
    "string": ("text", "", "h\u00e9\u00e9"),
}


def address_of(language: Language, id: str = "a") -> str:
    """An instance."""
    return f"{language.function}/{id}"


def set_state(**values: Any) -> list[dict[str, Any]]:
    """Operations that set states, or clear them if None."""
    return [
        {"kind": "del", "state": name} if value is None else {"kind": "set", "state": name, "value": value}
        for name, value in values.items()
    ]


def only(shown: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """The part of what is shown that has these names."""
    return {name: shown[name] for name in names}


def test_state_comes_back_after_a_kill(host: Host, language: Language, shared_program: MakeProgram) -> None:
    start_host(host, shared_program(language))
    a, b = address_of(language, "a"), address_of(language, "b")
    values = {"count": -7, "word": "h\u00e9\u00e9", "flag": True}
    run(host, a, *set_state(**values), {"kind": "add", "amount": 5}, {"kind": "blob", "text": "x"}, number="1")
    everything = {**values, "total": 5, "seen": "1 "}
    assert only(look(host, a), everything) == everything
    host.restart()
    shown = look(host, a)
    assert only(shown, everything) == everything
    assert shown["blob"] == "x".ljust(40)
    assert only(look(host, b), NOTHING) == NOTHING


def test_zero_is_not_unset(host: Host, language: Language, shared_program: MakeProgram) -> None:
    """R21, R22: a value of no bytes comes back as a value, a registered value that is unset as none."""
    start_host(host, shared_program(language))
    a = address_of(language)
    assert only(look(host, a), ZEROS) == dict.fromkeys(ZEROS)
    run(host, a, *set_state(**ZEROS))
    assert only(look(host, a), ZEROS) == ZEROS
    host.restart()
    assert only(look(host, a), ZEROS) == ZEROS
    run(host, a, *set_state(**dict.fromkeys(ZEROS)))
    assert only(look(host, a), ZEROS) == dict.fromkeys(ZEROS)
    host.restart()
    assert only(look(host, a), ZEROS) == dict.fromkeys(ZEROS)


def test_states_are_declared_once(host: Host, language: Language, shared_program: MakeProgram) -> None:
    """R20: one handshake a function type, and none after a restart."""
    start_host(host, shared_program(language))
    for id in ("a", "b", "c"):
        look(host, address_of(language, id))
    assert host.metrics()["proa_handshakes_total"] == 1
    host.restart()
    look(host, address_of(language, "d"))
    assert host.metrics()["proa_handshakes_total"] == 0


def test_both_kinds_of_expiry(host: Host, language: Language, shared_program: MakeProgram) -> None:
    """1.7: one value goes a time after it was written, the other a time after the last call."""
    start_host(host, shared_program(language))
    a = address_of(language)
    written = called = time.monotonic() - CLOCKS_DIFFER_S
    run(host, a, *set_state(brief="x", idle="y", word="z"))
    while True:
        began = time.monotonic()
        shown = look(host, a)
        took_since_call = time.monotonic() - called
        called = began - CLOCKS_DIFFER_S
        assert shown["brief"] == "x" or time.monotonic() - written >= BRIEF_S
        assert shown["idle"] == "y" or took_since_call >= IDLE_S
        if began - written >= IDLE_S + BRIEF_S or shown["idle"] is None:
            break
        time.sleep(0.05)  # calls in a row, as a busy instance has them
    assert shown["brief"] is None and shown["word"] == "z"
    host.await_metrics(lambda metrics: metrics["proa_state_values_expired_total"] >= 2, "both values have expired")
    assert only(look(host, a), {"brief": 0, "idle": 0, "word": 0}) == {"brief": None, "idle": None, "word": "z"}


def test_callers(host: Host, language: Language, shared_program: MakeProgram) -> None:
    """R19: no caller of a message from outside, the sender of any other, a delayed one too."""
    start_host(host, shared_program(language))
    names = "from_outside", "sender", "sent", "sent_later"
    from_outside, sender, sent, sent_later = (address_of(language, name) for name in names)
    note = program({"kind": "note"})
    send(host, from_outside, {"kind": "note"})
    send(host, sender, {"kind": "send", "to": sent, "message": note})
    send(host, sender, {"kind": "delay", "to": sent_later, "delay_ms": 1, "message": note})
    host.await_metric("proa_messages_handled_total", 5)
    assert look(host, from_outside)["word"] == "nobody"
    assert look(host, sent)["word"] == sender
    assert look(host, sent_later)["word"] == sender
    shown = look(host, sent)
    assert shown["self"] == sent
    assert shown["caller"].startswith("proa/reply/")


def test_self_sends_come_after_what_waits(host: Host, language: Language, shared_program: MakeProgram) -> None:
    """R10: a message to oneself is a message like any other, in a later batch."""
    start_host(host, shared_program(language))
    a = address_of(language)
    message = program(number="last")
    for number in ("3", "2", "1"):
        message = program({"kind": "send", "to": a, "message": message}, {"kind": "add", "amount": 1}, number=number)
    assert host.send(a, message).status == 202
    host.await_metric("proa_messages_handled_total", 4)
    assert only(look(host, a), {"seen": "", "total": 0}) == {"seen": "1 2 3 last ", "total": 3}


def test_delayed_messages_and_cancels(host: Host, language: Language, shared_program: MakeProgram) -> None:
    """R29, R30, R32: fired once and in order, cancelled by token, the token free again, an unknown one ignored."""
    start_host(host, shared_program(language))
    a, b = address_of(language, "a"), address_of(language, "b")

    def delay(delay_ms: int, number: str, token: str = "") -> dict[str, Any]:
        message = program(number=number)
        return {"kind": "delay", "to": b, "delay_ms": delay_ms, "token": token, "message": message}

    cancel = {"kind": "cancel", "token": "t"}
    run(host, a, delay(60, "late"), delay(0, "soon"), delay(3_600_000, "never", "t"))
    host.await_metric("proa_timers", 1)
    assert look(host, b)["seen"] == "soon late "
    host.restart()
    run(host, a, cancel)
    host.await_metric("proa_timers", 0)
    assert host.metrics()["proa_timers_cancelled_total"] == 1
    run(host, a, cancel, delay(0, "again", "t"))
    host.await_metric("proa_timers_fired_total", 1)
    run(host, a, delay(3_600_000, "never", "t"), cancel)
    host.await_metric("proa_timers", 0)
    host.await_idle()
    assert look(host, b)["seen"] == "soon late again "
    assert host.metrics()["proa_parked_messages"] == 0


def test_egress(host: Host, language: Language, shared_program: MakeProgram) -> None:
    start_host(host, shared_program(language))
    records = ["one", "", "h\u00e9\u00e9", "x" * 5000]
    run(host, address_of(language), *({"kind": "emit", "record": record} for record in records))
    host.stop()
    assert [record["value"] for record in host.egress(EGRESS)] == records


def test_ask_is_answered_by_whoever_has_the_address(
    host: Host, language: Language, shared_program: MakeProgram
) -> None:
    """An ask is a caller to reply to; the one that replies may be a third, and much later."""
    start_host(host, shared_program(language))
    a, b, c = (address_of(language, id) for id in "abc")
    message = program({"kind": "hand_on", "to": c, "message": program({"kind": "look"}, number="3")}, number="2")
    shown = run(host, a, {"kind": "hand_on", "to": b, "message": message}, number="1").json
    assert shown["self"] == c and shown["caller"] == b and shown["seen"] == "3 "
    assert run(host, a, number="4").json == {"number": "4"}
    assert [look(host, each)["seen"] for each in (a, b, c)] == ["1 4 ", "2 ", "3 "]


@pytest.mark.parametrize("kind", VALUES)
def test_values_of_built_in_types(host: Host, language: Language, shared_program: MakeProgram, kind: str) -> None:
    """3.1: from function to function and to the asking client, zeros too."""
    if kind in ("long", "double") and not language.has_wide_types:
        kind_seen = "other:io.statefun.types/" + kind
    else:
        kind_seen = kind
    start_host(host, shared_program(language))
    a, b = address_of(language, "a"), address_of(language, "b")
    for value in VALUES[kind]:
        headers = {"Proa-Type": f"io.statefun.types/{kind}"}
        if kind_seen == kind:
            answer = run(host, a, {"kind": "reply", "type": kind, "value": value}).json
            assert (int(answer) if kind == "long" else answer) == value  # JSON has no room for every long
            run(host, a, {"kind": "send_value", "to": b, "type": kind, "value": value})
        else:
            body = wire_scalar(kind, value)
            assert host.send(b, body=body, headers=headers).status == 202
    host.await_idle()
    seen = look(host, b)["seen"].split(" ")[:-1]
    if kind_seen == kind:
        assert [json_of(entry, kind) for entry in seen] == list(VALUES[kind])
    else:
        assert seen == [kind_seen] * len(VALUES[kind])


def json_of(entry: str, kind: str) -> Any:
    """A value that a program wrote as text into its log."""
    name, _, text = entry.partition(":")
    assert name == kind, entry
    return text if kind == "string" else json.loads(text)


def wire_scalar(kind: str, value: Any) -> bytes:
    """Its bytes on the wire."""
    return b"\x09" + struct.pack({"long": "<q", "double": "<d"}[kind], value) if value else b""


def test_batch_of_many(host: Host, language: Language, own_program: MakeProgram) -> None:
    """R9: one call carries many messages, which are handled one after the other on one state."""
    function = own_program(language)
    start_host(host, function)
    a = address_of(language)
    count = 250
    for number in range(count):
        send(host, a, {"kind": "add", "amount": number}, {"kind": "emit", "record": str(number)}, number=str(number))
    host.await_metric("proa_mailbox_messages", count)
    function.start()
    host.await_metric("proa_messages_handled_total", count)
    metrics = host.metrics()
    assert metrics["proa_calls_total"] - metrics["proa_calls_failed_total"] <= 30
    shown = look(host, a)
    assert shown["total"] == sum(range(count))
    assert shown["seen"].split() == [str(number) for number in range(count)]
    host.stop()
    assert [record["value"] for record in host.egress(EGRESS)] == [str(number) for number in range(count)]


def test_exception_is_retried_until_it_passes(
    host: Host, language: Language, shared_program: MakeProgram, tmp_path: Path
) -> None:
    start_host(host, shared_program(language))
    a, other = address_of(language), address_of(language, "other")
    obstacle = tmp_path / "obstacle"
    obstacle.touch()
    send(host, a, {"kind": "add", "amount": 1}, {"kind": "fail", "file": str(obstacle)}, number="1")
    send(host, a, {"kind": "add", "amount": 1}, number="2")
    host.await_metrics(lambda metrics: metrics["proa_calls_failed_total"] >= 3, "three attempts have failed")
    assert run(host, other, number="x").json == {"number": "x"}
    obstacle.unlink()
    host.await_idle()
    assert only(look(host, a), {"seen": "", "total": 0}) == {"seen": "1 2 ", "total": 2}
    assert host.metrics()["proa_parked_messages"] == 0


def test_exception_parks_its_message_alone(host: Host, language: Language, own_program: MakeProgram) -> None:
    """R35, bettered: a poison message is put aside, those before and after it in its batch are handled."""
    function = own_program(language)
    start_host(host, function, attempts=3)
    a = address_of(language)
    for number in range(9):
        ops = [{"kind": "fail"}] if number == 4 else []
        send(host, a, {"kind": "add", "amount": 1}, *ops, number=str(number))
    function.start()
    host.await_metric("proa_parked_messages", 1)
    host.await_idle()
    assert only(look(host, a), {"seen": "", "total": 0}) == {"seen": "0 1 2 3 5 6 7 8 ", "total": 8}


def test_changed_state_type_blocks_the_type(host: Host, language: Language, own_program: MakeProgram) -> None:
    """R24, R25, R27: a program that declares `count` with another type harms nothing, and loses nothing.

    What it writes is refused and blocks the type, which is tried again. With the right program all goes on.
    """
    function = own_program(language).start()
    start_host(host, function)
    old, new = address_of(language, "old"), address_of(language, "new")
    run(host, old, *set_state(count=5))
    function.kill()
    function.start(count_type="string")
    send(host, new, *set_state(count="text"), number="1")
    host.await_metric("proa_types_blocked", 1)
    assert host.metrics()["proa_messages_handled_total"] == 1
    function.kill()
    function.start()
    send(host, new, *set_state(count=6), number="2")
    function_of_old = look(host, old)
    assert function_of_old["count"] == 5
    assert host.metrics()["proa_types_blocked"] == 0


def test_state_read_with_another_type_stays_as_it_is(host: Host, language: Language, own_program: MakeProgram) -> None:
    """R27: some SDKs throw, or cannot read its bytes, others show nonsense; the host has the value as it was."""
    function = own_program(language).start()
    start_host(host, function)
    a = address_of(language)
    run(host, a, *set_state(count=5))
    function.kill()
    function.start(count_type="string")
    send(host, a, {"kind": "look"}, number="1")
    before = host.metrics()
    if language.throws_on_foreign_state:
        host.await_metrics(lambda metrics: metrics["proa_calls_failed_total"] >= 2, "the program throws")
    else:
        host.await_metric("proa_messages_handled_total", 2)
    assert before["proa_types_blocked"] == 0
    function.kill()
    function.start()
    assert only(look(host, a), {"count": 0, "seen": ""}) == {"count": 5, "seen": "1 "}


def test_unknown_fields_of_a_value_are_kept(
    host: Host, language: Language, shared_program: MakeProgram, scripted: Start
) -> None:
    """R17: a field of TypedValue that nobody here knows goes through mailbox, function and out again."""
    unknown = b"\x22\x03abc\xa8\x3f\x07"  # field 4, and field 1013
    argument = b"\x0a\x0einterop/passed\x10\x01\x1a\x02hi" + unknown

    def answer(call: Call) -> Reply:
        result = wire.FromFunction()
        result.invocation_result.SetInParent()
        if call.batch.invocations[0].argument.typename != "interop/passed":
            outgoing = result.invocation_result.outgoing_messages.add()
            outgoing.target.namespace, outgoing.target.type = language.function.split("/")
            outgoing.target.id = "a"
            outgoing.argument.MergeFromString(argument)
        return Reply(result)

    probe = scripted(answer)
    endpoint = f'\nkind: proa.v1/endpoint\nspec: {{functions: {{probe/*: {{}}}}, url: "{probe.url}"}}\n---\n'
    start_host(host, shared_program(language), rest=endpoint)
    assert host.send("probe/raw/start", {}).status == 202
    wait_until(lambda: len(probe.calls) >= 2, "the value came back")
    back = probe.calls[-1].batch.invocations[0]
    assert f"{back.caller.namespace}/{back.caller.type}" == language.function
    assert probe.calls[-1].batch.target.id == language.name
    expected = wire.TypedValue.FromString(argument)
    if not language.keeps_unknown_fields:
        expected.DiscardUnknownFields()
    assert back.argument == expected


def test_function_its_program_does_not_serve(host: Host, language: Language, shared_program: MakeProgram) -> None:
    """Every SDK answers an unknown function as it answers a failing one: its message is parked, the others go on."""
    function = shared_program(language)
    module = module_of([function], attempts=2).replace("  url:", "    interop/nobody: {}\n  url:", 1)
    host.configure(module=module).start()
    assert host.send("interop/nobody/a", program(number="1")).status == 202
    host.await_metric("proa_parked_messages", 1)
    assert run(host, address_of(language), number="1").json == {"number": "1"}


def test_batch_over_the_limit_of_the_server(host: Host, language: Language, own_program: MakeProgram) -> None:
    """R5: a server that takes no bodies over 1 MiB, as aiohttp's default is, gets smaller batches, others one."""
    function = own_program(language)
    module = module_of([function], more=", batch_bytes: 8MiB")
    host.configure(module=module).start()
    a = address_of(language)
    for number in range(5):
        send(host, a, {"kind": "add", "amount": 1, "ballast": "x" * 400_000}, number=str(number))
    function.start()
    host.await_metric("proa_messages_handled_total", 5)
    assert only(look(host, a), {"seen": "", "total": 0}) == {"seen": "0 1 2 3 4 ", "total": 5}
    assert host.metrics()["proa_instances_blocked"] == 0
    refusal = "HTTPRequestEntityTooLarge"
    assert (refusal in function.log_path.read_text()) == language.limits_bodies


def test_server_that_closes_idle_connections(host: Host, shared_program: MakeProgram) -> None:
    """R5: node closes a connection after five idle seconds; the next call is made on another, none fails."""
    language = LANGUAGES["js"]
    if language.missing:
        pytest.skip(f"{language.name}: {language.missing}")
    function = shared_program(language)
    start_host(host, function)
    a = address_of(language)
    assert run(host, a, number="1").json == {"number": "1"}
    assert open_connections(function.port) > 0
    wait_until(lambda: open_connections(function.port) == 0, "node has closed the connections")
    assert run(host, a, number="2").json == {"number": "2"}
    assert host.metrics()["proa_calls_failed_total"] == 0


def open_connections(port: int) -> int:
    """How many connections to a local port both sides have open."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    remote_and_state = [line.split()[2:4] for line in lines]
    return sum(remote == f"0100007F:{port:04X}" and state == "01" for remote, state in remote_and_state)
