# SPDX-License-Identifier: Apache-2.0
"""The checkers of the kill test find what they are there to find."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
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
    records_of,
)

Logs = dict[str, Any]
IDS = [f"i{number}" for number in range(10)]


def perfect_run() -> tuple[Logs, dict[str, Message], Outcome]:
    """The logs of a host that did everything right, message by message."""
    writer = Writer(seed=1, ids=IDS)
    logs: Logs = {id: {"seen": [], "total": 0, "blob": ""} for id in IDS}
    messages: dict[str, Message] = {}
    outcome = Outcome()

    def handle(to: str, message: Message) -> None:
        log = logs[to]
        log["seen"].append(message["number"])
        log["total"] += sum(op["amount"] for op in message["ops"] if op["kind"] == "add")
        log["blob"] = ([log["blob"]] + [op["text"] for op in message["ops"] if op["kind"] == "blob"])[-1]
        waiting.extend((op["to"], op["message"]) for op in message["ops"] if op["kind"] == "send")
        plain_delays = (op for op in message["ops"] if op["kind"] == "delay" and "token" not in op)
        waiting.extend((op["to"], op["message"]) for op in plain_delays)

    waiting: list[tuple[str, Message]] = []
    for number in range(200):
        id = IDS[number % len(IDS)]
        message = writer.program(str(number), id)
        collect(messages, message)
        expect(outcome, id, message)
        waiting.append((id, message))
        while waiting:
            handle(*waiting.pop(0))
    return logs, messages, outcome


def check(logs: Logs, messages: dict[str, Message], outcome: Outcome) -> None:
    check_logs(outcome, logs, messages)
    check_followers(logs, messages)
    check_order(logs, messages)


def test_a_perfect_run_passes() -> None:
    check(*perfect_run())


def lose_one(logs: Logs) -> None:
    logs["i3"]["seen"].pop(5)


def do_one_twice(logs: Logs) -> None:
    logs["i3"]["seen"].append(logs["i3"]["seen"][0])


def misdeliver_one(logs: Logs) -> None:
    logs["i4"]["seen"].append(logs["i3"]["seen"].pop(5))


def swap_two_of_a_client(logs: Logs) -> None:
    seen = logs["i3"]["seen"]
    roots = [index for index, number in enumerate(seen) if "." not in number]
    seen[roots[2]], seen[roots[3]] = seen[roots[3]], seen[roots[2]]


def lose_state(logs: Logs) -> None:
    logs["i3"]["total"] -= 1


def lose_large_state(logs: Logs) -> None:
    logs["i3"]["blob"] = "what was there before"


@pytest.mark.parametrize(
    "damage", [lose_one, do_one_twice, misdeliver_one, swap_two_of_a_client, lose_state, lose_large_state]
)
def test_damage_is_found(damage: Callable[[Logs], None]) -> None:
    logs, messages, outcome = perfect_run()
    damage(logs)
    with pytest.raises(AssertionError):
        check(logs, messages, outcome)


def damaged_records(damage: str) -> list[str]:
    """The records of a perfect run, but for one thing."""
    logs, messages, _ = perfect_run()
    records = [record for own in records_of(logs, messages).values() for record in own]
    if damage == "lost":
        records.pop(7)
    elif damage == "twice":
        records.append(records[7])
    elif damage == "never emitted":
        records.append("999.0")
    elif damage == "swapped":
        records[0], records[1] = records[1], records[0]  # of one instance
    return records


@pytest.mark.parametrize("damage", ["lost", "twice", "never emitted", "swapped"])
def test_damage_to_records_is_found(damage: str) -> None:
    logs, messages, _ = perfect_run()
    check_records(damaged_records("none"), logs, messages)
    with pytest.raises(AssertionError):
        check_records(damaged_records(damage), logs, messages)


def of_plain_sends(messages: dict[str, Message]) -> list[tuple[str, str]]:
    """Whom each message that a message sends at once goes to, and its number."""
    ops = [op for message in messages.values() for op in message["ops"] if op["kind"] == "send"]
    return [(op["to"], op["message"]["number"]) for op in ops]


def test_a_lost_follower_is_found_though_its_client_got_no_answer() -> None:
    """Nothing is certain then but what a handled message sent."""
    logs, messages, _ = perfect_run()
    to, number = of_plain_sends(messages)[0]
    check_followers(logs, messages)
    logs[to]["seen"].remove(number)
    with pytest.raises(AssertionError, match="lost"):
        check_followers(logs, messages)


def test_two_messages_of_one_sender_in_another_order_are_found() -> None:
    logs, messages, _ = perfect_run()
    for id, log in logs.items():
        sent = [op for number in log["seen"] for op in messages[number]["ops"] if op["kind"] == "send"]
        for first, second in itertools.combinations(sent, 2):
            if first["to"] == second["to"] != id:
                seen = logs[first["to"]]["seen"]
                one, other = (seen.index(op["message"]["number"]) for op in (first, second))
                seen[one], seen[other] = seen[other], seen[one]
                with pytest.raises(AssertionError, match="in another order"):
                    check_order(logs, messages)
                return
    raise AssertionError("no instance sent another two messages")
