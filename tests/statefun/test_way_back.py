# SPDX-License-Identifier: Apache-2.0
"""Functions on Proa's SDK, as they are, behind StateFun's own runtime: what they do there, they do as on Proa."""

from __future__ import annotations

import json
import random
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness import Host, PythonFunctions, wait_until
from harness.programs import (
    Message,
    Outcome,
    Writer,
    check_followers,
    check_logs,
    check_order,
    check_records,
    collect,
    expect,
)
from runtime import START_S, Record, Runtime

SEED = 7
IDS = [f"i{number}" for number in range(12)]
PROGRAMS = 600
RECORDS = "programs/records"
LONG = "io.statefun.types/long"
CHECKPOINT = "checkpoints/*/chk-*/_metadata"
Programs = list[tuple[str, Message]]  # to which instance, what


def packed(value: Any) -> Record:
    """A value as it travels: a built-in type where StateFun has one, else JSON, as on Proa."""
    if isinstance(value, int):
        return Record(typename=LONG, has_value=True, value=struct.pack("<Bq", 9, value) if value else b"")
    return Record(typename="proa/json", has_value=True, value=json.dumps(value).encode())


def unpacked(record: Record) -> Any:
    """A value that came."""
    if record.typename == LONG:
        return struct.unpack("<Bq", record.value)[1] if record.value else 0
    assert record.typename == "proa/json", record
    return json.loads(record.value)


def ask(statefun: Runtime, target: str, value: Any) -> Any:
    """Asks a function on StateFun."""
    return unpacked(statefun.answer(target, packed(value)))


def text_of(record: Record) -> str:
    """The text in a record of a built-in string: a field's tag and its length come first."""
    assert record.typename == "io.statefun.types/string", record
    return record.value[2:].decode()


# ---- the counter -------------------------------------------------------------------------------------------------


def count_up(ask_one: Callable[[str, int], int]) -> list[list[int]]:
    """What every instance answers, one ask after the other, all instances side by side."""

    def count_one(id: str) -> list[int]:
        draw = random.Random(id)
        return [ask_one(f"example/counter/{id}", draw.randrange(-5, 100)) for _ in range(30)]

    with ThreadPoolExecutor(len(IDS)) as pool:
        return list(pool.map(count_one, IDS))


def test_the_counter_counts_as_on_proa(statefun: Runtime, proa_host: Host, counter: PythonFunctions) -> None:
    proa_host.configure({"example/*": counter.url}).start()
    statefun.start([("example/*", counter.url)], [RECORDS])
    there = count_up(lambda target, amount: int(proa_host.ask(target, amount).json))
    assert count_up(lambda target, amount: int(ask(statefun, target, amount))) == there


# ---- random programs ---------------------------------------------------------------------------------------------


def write_programs(races: bool) -> Programs:
    """The programs of one seed."""
    writer = Writer(SEED, IDS, races)
    return [(id, writer.program(str(number), id)) for number in range(PROGRAMS) for id in [IDS[number % len(IDS)]]]


def look_on_statefun(statefun: Runtime) -> dict[str, Any]:
    """The log of every instance."""
    asked = {id: statefun.ask(f"programs/run/{id}", packed({"look": True})) for id in IDS}
    answers = wait_until(lambda: set(asked.values()) <= set(found := statefun.answers()) and found, "all show", START_S)
    return {id: unpacked(answers[invocation]) for id, invocation in asked.items()}


def await_end(statefun: Runtime, programs: Programs) -> tuple[dict[str, Any], dict[str, Message]]:
    """Waits until all that must be handled has been, and what it sent; every log, and the messages by number."""
    outcome, messages = Outcome(), dict[str, Message]()
    for id, message in programs:
        collect(messages, message)
        expect(outcome, id, message)

    def find_end() -> dict[str, Any] | None:
        logs = look_on_statefun(statefun)
        if any(not outcome.exactly_once[id] <= set(log["seen"]) for id, log in logs.items()):
            return None
        try:
            check_followers(logs, messages)
        except AssertionError:  # a message whose cancel came too late is on its way
            return None
        return logs

    logs = wait_until(find_end, "every program has been handled", START_S)
    check_logs(outcome, logs, messages)
    check_order(logs, messages)
    return logs, messages


def records_on_statefun(statefun: Runtime) -> list[str]:
    """What the programs emitted."""
    return [text_of(record) for record in statefun.records(RECORDS)]


def run_on_proa(host: Host, url: str, programs: Programs) -> tuple[dict[str, Any], list[str]]:
    """The same on a Proa host: the log of every instance, and the records."""
    host.configure({"programs/*": url}, egresses=(RECORDS,)).start()

    def send_all(id: str) -> None:
        for message in (message for to, message in programs if to == id):
            assert host.send(f"programs/run/{id}", message).status == 202

    with ThreadPoolExecutor(len(IDS)) as pool:
        list(pool.map(send_all, IDS))
    host.await_idle()
    logs = {id: host.ask(f"programs/run/{id}", {"look": True}).json for id in IDS}
    host.stop()
    return logs, [record["value"] for record in host.egress(RECORDS)]


def test_random_programs_end_as_on_proa(statefun: Runtime, proa_host: Host, programs: PythonFunctions) -> None:
    """Messages, delays, cancels, large values, egress: what was handled, every total and every record are equal."""
    written = write_programs(races=False)
    statefun.start([("programs/*", programs.url)], [RECORDS])
    for id, message in written:
        statefun.send(f"programs/run/{id}", packed(message))
    there, records_there = run_on_proa(proa_host, programs.url, written)
    here, messages = await_end(statefun, written)
    check_records(records_on_statefun(statefun), here, messages)
    for id in IDS:
        assert sorted(here[id]["seen"]) == sorted(there[id]["seen"])
        assert here[id]["total"] == there[id]["total"]
    assert sorted(records_on_statefun(statefun)) == sorted(records_there)


def checkpoints(statefun: Runtime) -> set[Path]:
    """Its complete checkpoints; it keeps the newest."""
    return set(statefun.folder.glob(CHECKPOINT))


def test_a_job_that_failed_goes_on(statefun: Runtime, programs: PythonFunctions) -> None:
    """The functions die, calls fail until the job does; it starts from its checkpoint and meets the same functions."""
    written = write_programs(races=True)
    statefun.start([("programs/*", programs.url)], [RECORDS], call="1s")
    for id, message in written[: PROGRAMS // 2]:
        statefun.send(f"programs/run/{id}", packed(message))
    before = checkpoints(statefun)
    wait_until(lambda: statefun.records(RECORDS) and checkpoints(statefun) - before, "it has a checkpoint", START_S)
    programs.kill()
    for id, message in written[PROGRAMS // 2 :]:
        statefun.send(f"programs/run/{id}", packed(message))
    wait_until(lambda: "Failure forwarding" in statefun.log_path.read_text(), "the job fails", START_S)
    programs.start()
    logs, messages = await_end(statefun, written)
    wanted = [
        op["record"]
        for log in logs.values()
        for number in log["seen"]
        for op in messages[number]["ops"]
        if op["kind"] == "emit"
    ]
    # A file is no transactional egress: it keeps what was undone, too, where a race may have ended the other way.
    assert set(wanted) <= set(records_on_statefun(statefun))


# ---- what else functions do --------------------------------------------------------------------------------------


def test_rejected_messages_are_dropped(statefun: Runtime, zoo: PythonFunctions) -> None:
    statefun.start([("zoo/*", zoo.url)], [RECORDS])
    for amount in (5, -1, -1, 2):
        statefun.send("zoo/picky/a", packed(amount))
    refused = statefun.ask("zoo/picky/a", packed(-1))
    wait_until(lambda: zoo.log_path.read_text().count("it is dropped") == 3, "three are dropped", START_S)
    wait_until(lambda: ask(statefun, "zoo/picky/a", 0) == 7, "the others count", START_S)
    assert refused not in statefun.answers()


def test_replies_delays_and_egress(statefun: Runtime, zoo: PythonFunctions) -> None:
    """An answer left to others, a message to oneself later, one that was cancelled, records."""
    statefun.start([("zoo/*", zoo.url)], ["zoo/records"])
    assert ask(statefun, "zoo/chain/a", {"hops": 5}) == 1
    later = {"ids": ["b"], "amount": 3, "delay_ms": 20}
    assert ask(statefun, "zoo/forward/a", later) == 1
    wait_until(lambda: ask(statefun, "zoo/counter/b", 0) == 3, "the delayed message has come", START_S)
    assert ask(statefun, "zoo/forward/a", {"ids": ["b"], "delay_ms": 3_600_000, "token": "t"}) == 1
    assert ask(statefun, "zoo/forward/a", {"ids": [], "cancel": "t"}) == 0
    again = {"ids": ["b"], "delay_ms": 3_600_000, "token": "t"}  # were it not cancelled, this would fail the job
    assert ask(statefun, "zoo/forward/a", again) == 1
    assert ask(statefun, "zoo/emit/a", 3) == 3
    wait_until(lambda: len(statefun.records("zoo/records")) == 3, "the records are there")
    assert [text_of(record) for record in statefun.records("zoo/records")] == ["a:0", "a:1", "a:2"]


def test_values_expire(statefun: Runtime, zoo: PythonFunctions) -> None:
    """Both modes, declared in the handshake; a look keeps a value alive that counts from the last call."""
    statefun.start([("zoo/*", zoo.url)], [RECORDS])
    assert ask(statefun, "zoo/short_lived/a", 7) == [7, 7]

    def is_written_gone() -> bool:
        seen = ask(statefun, "zoo/short_lived/a", 0)
        if seen == [0, 0]:  # the job was too slow to look in time
            assert ask(statefun, "zoo/short_lived/a", 7) == [7, 7]
        return seen == [0, 7]

    wait_until(is_written_gone, "the written one is gone", START_S)

    def is_gone_after_rest() -> bool:
        time.sleep(0.3)  # what expires is what nobody looks at for so long
        return ask(statefun, "zoo/short_lived/a", 0) == [0, 0]

    wait_until(is_gone_after_rest, "the other one is gone", START_S)


def test_an_exception_is_repeated_until_the_job_fails(statefun: Runtime, zoo: PythonFunctions) -> None:
    """As with a function on any of StateFun's own SDKs; the state is as before, other functions' messages wait."""
    statefun.start([("zoo/*", zoo.url)], [RECORDS], call="500ms")
    assert ask(statefun, "zoo/broken/a", 5) == 5
    statefun.send("zoo/broken/a", packed(13))
    wait_until(lambda: "Failure forwarding" in statefun.log_path.read_text(), "the job fails", START_S)
    failures = [line for line in zoo.log_path.read_text().splitlines() if "message 1 of 1 failed" in line]
    assert len(failures) > 1
