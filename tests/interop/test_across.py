# SPDX-License-Identifier: Apache-2.0
"""All languages behind one host: each speaks to each, and random programs run over all of them under kills."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

import pytest
from harness import Host, free_port, wait_until
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
from instances import EGRESS, look, module_of, program, run, start_host
from languages import LANGUAGES, Language, Program

MakeProgram = Callable[[Language], Program]
CLIENTS = 16  # each at another language at a time
INSTANCES_EACH = 8  # of a language
MESSAGES_A_KILL = 40
SEED = int(os.environ.get("PROA_TEST_SEED", "4"))
VALUES = {"bool": False, "int": 0, "float": 0.5, "string": ""}


@pytest.fixture
def present() -> list[Language]:
    """The languages that can be had here; what is missing is said by the tests of one language."""
    return [language for language in LANGUAGES.values() if not language.missing]


def test_each_speaks_to_each(host: Host, present: list[Language], shared_program: MakeProgram) -> None:
    """Asks handed on and built-in values, from every language to every language."""
    start_host(host, *(shared_program(language) for language in present))
    pairs = list(itertools.product(present, repeat=2))
    for one, other in pairs:
        to = f"{other.function}/{one.name}"
        values = [{"kind": "send_value", "to": to, "type": kind, "value": value} for kind, value in VALUES.items()]
        hand_on = {"kind": "hand_on", "to": to, "message": program({"kind": "look"}, number="x")}
        shown = run(host, f"{one.function}/a", *values, hand_on).json
        assert shown["self"] == to and shown["caller"] == f"{one.function}/a"
        assert shown["seen"] == "bool:false int:0 float:0.5 string: x "
    assert host.metrics()["proa_messages_sent_total"] == len(pairs) * (len(VALUES) + 1)
    assert host.metrics()["proa_parked_messages"] == 0


def test_one_ask_through_all(host: Host, present: list[Language], shared_program: MakeProgram) -> None:
    """A chain through every language and back; the last one answers the client, as text beyond ASCII."""
    start_host(host, *(shared_program(language) for language in present))
    message = program({"kind": "reply", "type": "string", "value": "h\u00e9\u00e9"}, number="end")
    for language in itertools.chain(present, reversed(present)):
        to = f"{language.function}/chain"
        message = program({"kind": "hand_on", "to": to, "message": message}, number=language.name)
    answer = host.ask(f"{present[-1].function}/chain", message)
    assert answer.status == 200 and answer.json == "h\u00e9\u00e9", answer


@dataclass
class Client:
    """Clients, each of some instances of its own, sending a message after the other, none of them twice."""

    host: Host
    writer: Writer
    promised: list[tuple[str, Message]] = field(default_factory=list)  # answered: done, or will be
    lost: list[tuple[str, Message]] = field(default_factory=list)  # sent, no answer came
    under_way: set[str] = field(default_factory=set)
    is_up: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)
    numbers: Any = field(default_factory=itertools.count)

    @property
    def ended(self) -> int:
        """How many messages have been sent."""
        return len(self.promised) + len(self.lost)

    def run(self, addresses: list[str]) -> None:
        """One client: asks and sends in turn to each of its instances, through every outage, until it is over."""
        for address in itertools.cycle(addresses):
            self.is_up.wait()
            if self.is_over.is_set():
                return
            message = self.writer.program(str(next(self.numbers)), address)
            self.under_way.add(address)
            try:
                self.exchange(address, message)
            finally:
                self.under_way.discard(address)

    def exchange(self, address: str, message: Message) -> None:
        """Sends one message and notes what became of it."""
        verb = self.host.ask if int(message["number"]) % 2 else self.host.send
        try:
            answer = verb(address, message)
        except (OSError, HTTPException):
            self.lost.append((address, message))
            return
        assert answer.status in (200, 202, 503, 504), answer
        if answer.status != 503:
            self.promised.append((address, message))

    def take_down(self) -> None:
        """Kills the host with work in flight and starts it again."""
        self.is_up.clear()
        self.host.kill()
        self.host.start()
        self.is_up.set()


def kill_program(host: Host, function: Program) -> None:
    """Kills a program, sees calls fail by it, and starts it again."""
    failed = host.metrics()["proa_calls_failed_total"]
    function.kill()
    host.await_metrics(
        lambda metrics: metrics["proa_calls_failed_total"] > failed,
        f"a call failed by the kill of {function.language.name}",
    )
    function.start()


def kill_in_turn(client: Client, functions: list[Program]) -> list[str]:
    """Kills every program once and the host after each, with work done in between and work under way."""
    hits = []
    for victim in (victim for function in functions for victim in (function, None)):
        mark = client.ended + MESSAGES_A_KILL
        wait_until(lambda mark=mark: client.ended >= mark and client.under_way, "the clients have gone on")
        if victim is None:
            client.take_down()
        else:
            kill_program(client.host, victim)
        hits.append(victim.language.name if victim else "host")
    return hits


def run_and_kill(client: Client, functions: list[Program], addresses: list[str]) -> list[str]:
    """All clients until all kills are done."""
    client.is_up.set()
    with ThreadPoolExecutor(CLIENTS) as pool:
        try:
            running = [pool.submit(client.run, addresses[first::CLIENTS]) for first in range(CLIENTS)]
            hits = kill_in_turn(client, functions)
        finally:
            client.is_over.set()
            client.is_up.set()
    for one in running:
        one.result()
    return hits


def check_all(client: Client, logs: dict[str, Any]) -> dict[str, Message]:
    """Totals and order of every instance, as the clients' messages have it; the messages by number."""
    messages: dict[str, Message] = {}
    outcome = Outcome()
    for address, message in client.promised:
        collect(messages, message)
        expect(outcome, address, message)
    for address, message in client.lost:
        collect(messages, message)
        expect(outcome, address, message, is_certain=message["number"] in logs[address]["seen"])
    check_logs(outcome, logs, messages)
    check_followers(logs, messages)
    check_order(logs, messages)
    return messages


def log_of(host: Host, address: str) -> dict[str, Any]:
    """What an instance has handled, in the form the checks take."""
    shown = look(host, address)
    return {"seen": (shown["seen"] or "").split(), "total": shown["total"] or 0, "blob": shown["blob"] or ""}


def test_random_programs_under_kills(host: Host, present: list[Language], own_program: MakeProgram) -> None:
    """Messages, delays, cancels, egress between all languages; the host and every program killed in between."""
    functions = [own_program(language).spawn() for language in present]
    for function in functions:
        function.await_start()
    host.configure(module=module_of(functions))
    host.wanted_ports = (str(free_port()), "0")  # whoever dials while it is down is to meet nobody else
    host.start()
    addresses = [f"{language.function}/i{number}" for number in range(INSTANCES_EACH) for language in present]
    client = Client(host, Writer(SEED, addresses))
    hits = run_and_kill(client, functions, addresses)
    metrics = host.await_idle()
    assert metrics["proa_parked_messages"] == 0
    logs = {address: log_of(host, address) for address in addresses}
    messages = check_all(client, logs)
    host.stop()
    records = [record["value"] for record in host.egress(EGRESS)]
    check_records(records, logs, messages)
    handled = sum(len(log["seen"]) for log in logs.values())
    print(f"{len(client.promised)} promised, {len(client.lost)} lost, {handled} handled, {len(records)} records")
    print(f"killed: {Counter(hits)}")
    print(json.dumps({name: value for name, value in metrics.items() if name.startswith("proa_calls")}))
