# SPDX-License-Identifier: Apache-2.0
"""Where the host listens, and what it says while it reads its store back."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from harness import Host, PythonFunctions, free_port, wait_until
from harness.http import Answer, request

Make = Callable[[], Host]
SENDERS, MESSAGES_A_SENDER = 10, 400
STARTS_MAX = 20


def event(host: Host, name: str) -> dict[str, Any] | None:
    """The host's first log line of this name since its last start."""
    return next((event for event in host.events() if event["event"] == name), None)


def test_listen_on_ipv6(make_host: Make, zoo: PythonFunctions) -> None:
    host = make_host().configure({"zoo/*": zoo.url}, options=("--listen", "::1"))
    host.wanted_ports = (str(free_port()), "0")  # at 127.0.0.1 nobody else has it
    host.spawn()
    ready = wait_until(lambda: event(host, "host.ready"), "the host says host.ready")
    connection = http.client.HTTPConnection("::1", ready["ingress_port"], timeout=60)
    connection.request("POST", "/v1/ask/zoo/counter/bob", b"5", {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, 5)
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        request(ready["ingress_port"], "GET", "/")
    host.stop()


def fill(host: Host) -> None:
    """Leaves so many messages waiting that reading them back takes a while."""

    def send(sender: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", host.ingress_port, timeout=60)
        for message in range(MESSAGES_A_SENDER):
            path = f"/v1/send/away/one/{sender}-{message}"
            connection.request("POST", path, b"1", {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            accepted.append(answer.status == 202)
        connection.close()

    accepted: list[bool] = []
    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert accepted.count(True) == SENDERS * MESSAGES_A_SENDER


def answers_until_ready(host: Host) -> list[tuple[Answer, Answer]]:
    """Starts the host and asks it and /readyz over and over, until both say that it takes messages."""
    host.spawn()
    listening = wait_until(lambda: event(host, "host.listening"), "the host says host.listening")
    seen: list[tuple[Answer, Answer]] = []
    while not seen or seen[-1][1].status != 200:
        ready = request(listening["admin_port"], "GET", "/readyz")
        sent = request(listening["ingress_port"], "POST", "/v1/send/away/one/late", b"1")
        seen.append((sent, ready))
    return seen


def test_not_ready_while_it_reads_its_store_back(make_host: Make) -> None:
    host = make_host().configure({"away/*": "http://127.0.0.1:9/"}).start()
    fill(host)
    refused: list[Answer] = []
    for _ in range(STARTS_MAX):  # a fast machine may be ready before the first request arrives
        host.kill()
        seen = answers_until_ready(host)
        refused = [sent for sent, _ in seen if sent.status != 202]
        not_ready = [ready for _, ready in seen if ready.status != 200]
        if refused and not_ready:
            break
    assert {answer.status for answer in refused} == {503}
    assert {answer.code for answer in refused} == {"not_ready"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert {ready.status for ready in not_ready} == {503}
