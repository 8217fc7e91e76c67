# SPDX-License-Identifier: Apache-2.0
"""The kill test: random programs while host and function process are killed again and again.

One sequential client an instance, thousands of messages, `kill -9` of the host and of the function process, each
shown to have hit work in flight. Afterwards every message whose client got an answer was applied exactly once, every
one whose answer was lost at most once; order, state and egress are exact.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from harness import Host, PythonFunctions, free_port
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

CLIENTS_AT_ONCE = 64
FAR_FROM_DONE = 0.8  # the last kill happens when so much of the work is done
MODULE = """
kind: proa.v1/endpoint
spec:
  functions:
    programs/*: {{}}
  url: {url}
  call: {{timeout: 10s}}
  retry: {{first: 20ms, max: 200ms, attempts: 1000}}
---
kind: proa.v1/egress
spec: {{name: programs/records}}
"""


@dataclass
class Client:
    """All clients: what they sent and what became of it."""

    host: Host
    writer: Writer
    messages_each: int
    promised: list[tuple[str, Message]] = field(default_factory=list)  # answered: done, or will be
    lost: list[tuple[str, Message]] = field(default_factory=list)  # sent, no answer came
    refused: Counter[str] = field(default_factory=Counter)
    under_way: int = 0
    ended: int = 0
    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: Any = field(default_factory=itertools.count)

    async def run_all(self, ids: list[str]) -> None:
        """Runs one client an id, some at a time."""
        waiting = iter(ids)

        async def work() -> None:
            for id in waiting:
                await self.run_one(id)

        await asyncio.gather(*(work() for _ in range(CLIENTS_AT_ONCE)))

    async def run_one(self, id: str) -> None:
        """One client: a message after the other, none of them sent twice."""
        connection = None
        for _ in range(self.messages_each):
            message = self.writer.program(str(next(self.numbers)), id)
            if connection is None:
                connection = await self._connect()
            if not await self._exchange(connection, id, message):
                connection[1].close()
                connection = None
            self.ended += 1
        if connection is not None:
            connection[1].close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            await self.is_up.wait()
            try:
                return await asyncio.open_connection("127.0.0.1", self.host.ingress_port)
            except OSError:
                await asyncio.sleep(0.01)

    async def _exchange(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], id: str, message: Message
    ) -> bool:
        """Sends one message and notes what became of it; False if the connection is of no more use."""
        reader, writer = connection
        verb = "ask" if int(message["number"]) % 2 else "send"
        body = json.dumps(message).encode()
        head = f"POST /v1/{verb}/programs/run/{id} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        self.under_way += 1
        try:
            writer.write(head.encode() + body)
            await writer.drain()
            status, answer = await read_answer(reader)
        except (OSError, EOFError):
            self.lost.append((id, message))
            return False
        finally:
            self.under_way -= 1
        if status in (200, 202, 504):
            self.promised.append((id, message))
            assert status != 200 or json.loads(answer)["number"] == message["number"]
        else:
            self.refused[f"{status} {json.loads(answer)['code']}"] += 1
            assert status == 503, (status, answer)
        return True


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One HTTP answer; EOFError if the connection ended before."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), await reader.readexactly(int(fields.get("content-length", "0")))


class Killer:
    """Kills host and function process in turn, each so often that so many kills had something to hit."""

    def __init__(self, client: Client, functions: PythonFunctions, total: int, kills_each: int) -> None:
        self.client = client
        self.functions = functions
        self.total = total
        self.marks = [int(total * FAR_FROM_DONE * (n + 1) / (2 * kills_each)) for n in range(2 * kills_each)]
        self.hits: list[str] = []

    async def run(self) -> None:
        """Kills at every mark of progress."""
        for index, mark in enumerate(self.marks):
            while self.client.ended < mark:
                await asyncio.sleep(0.002)
            await self.await_work()
            if index % 2:
                await self.kill_function()
            else:
                while not await self.kill_host():
                    await self.await_work()

    async def await_work(self) -> None:
        """Waits until many clients are under way."""
        while self.client.under_way < CLIENTS_AT_ONCE // 4:
            assert self.client.ended < self.total, "the clients were done before the kills"
            await asyncio.sleep(0.002)

    async def kill_host(self) -> bool:
        """Hit: clients whose answer never came. False if all answers were out already, and only to be read."""
        client = self.client
        lost_before = len(client.lost)
        client.is_up.clear()
        client.host.kill()
        while client.under_way:
            await asyncio.sleep(0.002)
        await asyncio.to_thread(client.host.start)
        client.is_up.set()
        lost = len(client.lost) - lost_before
        if lost > 0:
            self.hits.append(f"host: {lost} answers lost")
        return lost > 0

    async def kill_function(self) -> None:
        """Hit: calls that failed by it. The host counts from its own kill on, since when nothing else was killed."""
        self.functions.kill()
        metrics = await asyncio.to_thread(
            self.client.host.await_metrics,
            lambda metrics: metrics["proa_calls_failed_total"] > 0,
            "a call failed by the kill of the function process",
        )
        self.hits.append(f"function: {metrics['proa_calls_failed_total']:.0f} calls failed at first")
        await asyncio.to_thread(self.functions.start)


def show_logs(host: Host, ids: list[str]) -> dict[str, Any]:
    """What every instance says it has handled."""
    logs = {}
    for id in ids:
        answer = host.ask(f"programs/run/{id}", {"look": True})
        assert answer.status == 200, answer
        logs[id] = answer.json
    return logs


async def run_and_kill(client: Client, killer: Killer, ids: list[str]) -> None:
    """All clients to their end, and all kills."""
    client.is_up.set()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(client.run_all(ids))
        tasks.create_task(killer.run())


@pytest.mark.parametrize(
    ("instances", "messages_each", "kills_each"),
    [
        pytest.param(100, 20, 2, id="small", marks=pytest.mark.threads),
        pytest.param(1000, 20, 10, id="full", marks=pytest.mark.heavy),
    ],
)
def test_nothing_is_lost_or_done_twice(
    make_host: Callable[[], Host], tmp_path: Path, instances: int, messages_each: int, kills_each: int
) -> None:
    functions = PythonFunctions("programs:app", tmp_path / "function.log").start()
    host = make_host().configure(module=MODULE.format(url=functions.url))
    host.wanted_ports = (str(free_port()), "0")  # whoever dials while it is down is to meet nobody else
    host.start()
    ids = [f"i{number}" for number in range(instances)]
    client = Client(host, Writer(seed=instances, ids=ids), messages_each)
    killer = Killer(client, functions, instances * messages_each, kills_each)
    try:
        asyncio.run(run_and_kill(client, killer, ids))
        metrics = host.await_idle()
        logs = show_logs(host, ids)
        messages: dict[str, Message] = {}
        outcome = Outcome()
        for id, message in client.promised:
            collect(messages, message)
            expect(outcome, id, message)
        for id, message in client.lost:
            collect(messages, message)
            expect(outcome, id, message, is_certain=message["number"] in logs[id]["seen"])
        check_logs(outcome, logs, messages)
        check_followers(logs, messages)
        check_order(logs, messages)
        assert metrics["proa_parked_messages"] == 0
        host.stop()
        records = [record["value"] for record in host.egress("programs/records")]
        check_records(records, logs, messages)
    finally:
        functions.kill()
    handled = sum(len(log["seen"]) for log in logs.values())
    print(f"{len(client.promised)} promised, {len(client.lost)} lost, refused: {dict(client.refused)}")
    print(f"{handled} handled, {len(records)} egress records; kills: {killer.hits}")
    assert len(killer.hits) == 2 * kills_each
