# SPDX-License-Identifier: Apache-2.0
"""Many at once, and a reader of the log that does not read."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import Host, PythonFunctions, ScriptedFunction, wait_until
from harness.function import Call, Reply, reply_to

Make = Callable[[], Host]
Start = Callable[[Callable[[Call], Reply]], ScriptedFunction]


@pytest.mark.threads
def test_300_asks_at_once(host: Host) -> None:
    with ThreadPoolExecutor(300) as pool:
        answers = list(pool.map(lambda number: host.ask(f"zoo/counter/{number % 50}", 1), range(300)))
    assert Counter(answer.status for answer in answers) == {200: 300}
    totals = Counter(answer.json for answer in answers)
    assert totals == {total: 50 for total in range(1, 7)}


@pytest.mark.threads
def test_300_asks_of_one_instance(host: Host) -> None:
    with ThreadPoolExecutor(300) as pool:
        answers = list(pool.map(lambda _: host.ask("zoo/counter/one", 1).json, range(300)))
    assert sorted(answers) == list(range(1, 301))


def test_keep_alive_and_pipelined_requests(host: Host) -> None:
    body = b"1"
    one = b"POST /v1/ask/zoo/counter/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n" + body
    with socket.create_connection(("127.0.0.1", host.ingress_port), timeout=60) as connection:
        connection.sendall(one * 20)
        received = b""
        while received.count(b"HTTP/1.1 200") < 20:
            part = connection.recv(65536)
            assert part, received
            received += part
    assert host.ask("zoo/counter/a", 0).json == 20


def test_clients_that_leave_while_they_wait(make_host: Make, scripted: Start) -> None:
    gate = threading.Event()

    def answer(call: Call) -> Reply:
        gate.wait(60)
        return Reply(reply_to(call, "proa/json", b"1"))

    host = make_host().configure({"odd/*": scripted(answer).url}).start()
    for id in range(30):
        with socket.create_connection(("127.0.0.1", host.ingress_port)) as connection:
            request = f"POST /v1/ask/odd/one/{id} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
            connection.sendall(request.encode())
            host.await_metrics(lambda m, n=id: m["proa_messages_taken_total"] == n + 1, "the message was taken")
    gate.set()
    host.await_idle()
    assert host.metrics()["proa_messages_handled_total"] == 30
    assert host.ask("odd/one/a", 1).json == 1


def test_slow_sender_does_not_hold_up_others(host: Host) -> None:
    with socket.create_connection(("127.0.0.1", host.ingress_port)) as slow:
        slow.sendall(b"POST /v1/ask/zoo/counter/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert host.ask("zoo/counter/b", 1).json == 1


def test_stalled_standard_error_does_not_stop_the_host(make_host: Make, zoo: PythonFunctions) -> None:
    host = make_host().configure({"zoo/*": zoo.url, "away/*": "http://127.0.0.1:1/"}, options=("--log-level", "debug"))
    reader, writer = os.pipe()
    try:
        host.spawn(stderr=writer)
        os.close(writer)
        ready = read_event(reader, "host.ready")
        host.ingress_port, host.admin_port = ready["ingress_port"], ready["admin_port"]
        wait_until(host.is_ready, "/readyz answers 200")
        fill(host, reader)
        assert host.ask("zoo/counter/a", 1).status == 200
        assert host.ask("zoo/counter/a", 1).json == 2
    finally:
        host.dispose()
        os.close(reader)


def read_event(reader: int, name: str) -> dict[str, int]:
    """Reads the log from a pipe up to an event."""
    text = b""
    while True:
        text += os.read(reader, 65536)
        for line in text.split(b"\n")[:-1]:
            event = json.loads(line)
            if event["event"] == name:
                return event


def fill(host: Host, reader: int) -> None:
    """Makes the host log until its pipe is full and lines are dropped."""
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)

    def provoke() -> bool:
        host.ask("zoo/picky/a", -1)
        host.ask("zoo/broken/a%ff", 1)
        return host.metrics()["proa_log_lines_dropped_total"] > 0

    wait_until(provoke, "log lines are dropped")
