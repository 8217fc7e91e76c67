# SPDX-License-Identifier: Apache-2.0
"""Random programs for apps/programs.py, and what must have happened once they have run.

Not here: running them (test_kill.py).
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]
HOUR_MS = 3_600_000


@dataclass
class Outcome:
    """What the log of every instance and the egress must hold, given the client messages that were applied."""

    exactly_once: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # instance: numbers
    at_most_once: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    records: set[str] = field(default_factory=set)
    optional_records: set[str] = field(default_factory=set)


class Writer:
    """Writes programs; one seed, one set of programs. Without races what happens is settled by the programs alone."""

    def __init__(self, seed: int, ids: list[str], races: bool = True) -> None:
        self.random = random.Random(seed)
        self.ids = ids
        self.kinds = ["add", "add", "emit", "blob", "send", "self", "delay", "token"] + ["race"] * races

    def program(self, number: str, own_id: str, depth: int = 0) -> Message:
        """A message with operations; those of a message deep in a chain send no further ones."""
        count = self.random.choice((0, 1, 1, 2, 3)) if depth else self.random.choice((1, 1, 2, 2, 3))
        message: Message = {"number": number, "ops": []}
        for index in range(count):
            kind = self.random.choice(self.kinds[:4] if depth >= 2 else self.kinds)
            message["ops"] += self._ops(kind, f"{number}.{index}", own_id, depth)
        return message

    def _ops(self, kind: str, number: str, own_id: str, depth: int) -> list[Message]:
        draw = self.random
        if kind == "add":
            return [{"kind": "add", "amount": draw.randrange(1000)}]
        if kind == "blob":
            return [{"kind": "blob", "text": number}]
        if kind == "emit":
            return [{"kind": "emit", "record": number}]
        if kind in ("send", "self"):
            to = own_id if kind == "self" else draw.choice(self.ids)
            return [{"kind": "send", "to": to, "message": self.program(number, to, depth + 1)}]
        to = draw.choice(self.ids)
        message = self.program(number, to, depth + 1)
        if kind == "delay":
            return [{"kind": "delay", "to": to, "delay_ms": draw.randrange(400), "message": message}]
        delay_ms = HOUR_MS if kind == "token" else draw.randrange(40)
        cancel = {"number": f"{number}.c", "ops": [{"kind": "cancel", "token": number}]}
        return [
            {"kind": "delay", "to": to, "delay_ms": delay_ms, "message": message, "token": number},
            {"kind": "send", "to": own_id, "message": cancel},
        ]


def expect(outcome: Outcome, to: str, message: Message, is_certain: bool = True) -> None:
    """Adds what follows from a message that was handled by `to`."""
    (outcome.exactly_once if is_certain else outcome.at_most_once)[to].add(message["number"])
    for op in message["ops"]:
        if op["kind"] == "emit":
            (outcome.records if is_certain else outcome.optional_records).add(op["record"])
        elif op["kind"] == "send":
            expect(outcome, op["to"], op["message"], is_certain)
        elif op["kind"] == "delay" and op["delay_ms"] != HOUR_MS:
            expect(outcome, op["to"], op["message"], is_certain and "token" not in op)


def collect(messages: dict[str, Message], message: Message) -> None:
    """Adds a message, and all that it may send, by number."""
    messages[message["number"]] = message
    for op in message["ops"]:
        if "message" in op:
            collect(messages, op["message"])


def check_logs(outcome: Outcome, logs: dict[str, Any], messages: dict[str, Message]) -> None:
    """Every instance handled what it must, nothing twice, nothing else; its values follow from its log."""
    for id, log in logs.items():
        seen = log["seen"]
        certain, possible = outcome.exactly_once[id], outcome.at_most_once[id]
        assert len(seen) == len(set(seen)), f"{id} handled twice: {sorted(n for n in set(seen) if seen.count(n) > 1)}"
        assert certain <= set(seen), f"{id} lost {sorted(certain - set(seen))}"
        assert set(seen) <= certain | possible, f"{id} handled {sorted(set(seen) - certain - possible)}, from nowhere"
        ops = [op for number in seen for op in messages[number]["ops"]]
        assert log["total"] == sum(op["amount"] for op in ops if op["kind"] == "add"), f"the sum of {id}"
        blobs = [op["text"] for op in ops if op["kind"] == "blob"]
        assert log["blob"].strip() == (blobs[-1] if blobs else ""), f"the large value of {id}"


def check_followers(logs: dict[str, Any], messages: dict[str, Message]) -> None:
    """What a handled message sent was handled by its target; what it sent later and cancelled may have been."""
    handled = {(id, number) for id, log in logs.items() for number in log["seen"]}
    for id, number in handled:
        for op in messages[number]["ops"]:
            if op["kind"] in ("send", "delay") and "token" not in op:
                follower = op["message"]["number"]
                assert (op["to"], follower) in handled, f"{op['to']} lost {follower}, which {id} sent"


def check_order(logs: dict[str, Any], messages: dict[str, Message]) -> None:
    """A client's messages are handled in the order it sent them, and so are those one instance sent another."""
    for id, log in logs.items():
        roots = [int(number) for number in log["seen"] if "." not in number]
        assert roots == sorted(roots), f"{id} handled its client's messages in another order: {roots}"
    position = {number: index for log in logs.values() for index, number in enumerate(log["seen"])}
    for id, log in logs.items():
        last: dict[str, int] = {}
        for op in (op for number in log["seen"] for op in messages[number]["ops"] if op["kind"] == "send"):
            at = position[op["message"]["number"]]
            assert at > last.get(op["to"], -1), f"{op['to']} handled what {id} sent in another order"
            last[op["to"]] = at


def records_of(logs: dict[str, Any], messages: dict[str, Message]) -> dict[str, list[str]]:
    """The egress records of each instance, in order, as they follow from its log."""
    return {
        id: [op["record"] for number in log["seen"] for op in messages[number]["ops"] if op["kind"] == "emit"]
        for id, log in logs.items()
    }


def check_records(records: list[str], logs: dict[str, Any], messages: dict[str, Message]) -> None:
    """Exactly the records that follow from the logs, each instance's in its order."""
    expected = records_of(logs, messages)
    assert Counter(records) == Counter(itertools.chain.from_iterable(expected.values()))
    position = {record: index for index, record in enumerate(records)}
    for id, own in expected.items():
        places = [position[record] for record in own]
        assert places == sorted(places), f"the records of {id} are in another order"
