# SPDX-License-Identifier: Apache-2.0
"""Many at once, and a reader of the log that does not read."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import Host, PythonFunctions, ScriptedFunction, raw_request, wait_until
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


def test_chunked_and_expecting_requests(host: Host) -> None:
    head = b"POST /v1/ask/zoo/counter/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    chunked = raw_request(host.ingress_port, head + b"Transfer-Encoding: chunked\r\n\r\n1\r\n4\r\n1\r\n2\r\n0\r\n\r\n")
    assert chunked.startswith(b"HTTP/1.1 200") and chunked.endswith(b"42")
    expecting = raw_request(host.ingress_port, head + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n8")
    assert b"HTTP/1.1 200" in expecting and expecting.endswith(b"50")


def test_large_chunked_body_is_refused(host: Host) -> None:
    head = b"POST /v1/ask/zoo/counter/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    answer = raw_request(host.ingress_port, head + chunk * 40 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert host.ask("zoo/counter/a", 1).json == 1


def test_full_store_refuses_and_drains(make_host: Make, scripted: Start) -> None:
    function = scripted(lambda call: Reply(reply_to(call, "proa/json", b"1")))
    function.stop()
    host = make_host().configure({"odd/*": function.url}, options=("--store-bytes-max", "4MiB")).start()
    taken = 0
    for number in range(1000):
        answer = host.send(f"odd/one/{number % 5}", "x" * 50_000)
        if answer.status != 202:
            break
        taken += 1
    assert (answer.status, answer.code) == (507, "store_full")
    assert int(answer.headers["retry-after"]) > 0
    assert taken > 10
    assert host.metrics()["proa_store_full"] == 1
    assert [event["level"] for event in host.events() if event["event"] == "store.short"] == ["warn"]
    function.start()
    assert host.await_idle()["proa_messages_handled_total"] == taken
    wait_until(lambda: host.send("odd/one/a", 1).status == 202, "the store takes messages again")
    host.await_metric("proa_store_full", 0)


def fill_disk(host: Host) -> Iterator[int]:
    """Sends until the disk is full for a while; the statuses."""
    refused = 0
    while refused < 20:
        status = host.send("odd/one/a", "x" * 100_000).status
        refused += status == 507
        yield status


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a disk of a size. Named before make_host, it is there until the hosts are gone."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(size: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small disk cannot be mounted here")
        return disk

    yield mount
    if disk.is_mount():
        subprocess.run(["umount", str(disk)], check=True)


def test_full_disk_refuses_and_drains(small_disk: Callable[[str], Path], make_host: Make, scripted: Start) -> None:
    disk = small_disk("40m")
    function = scripted(lambda call: Reply(reply_to(call, "proa/json", b"1")))
    function.stop()
    host = make_host().configure({"odd/*": function.url})
    host.data = disk / "data"
    host.start()
    statuses = Counter(fill_disk(host))
    assert set(statuses) == {202, 507}
    function.start()
    assert host.await_idle()["proa_messages_handled_total"] == statuses[202]
    wait_until(lambda: host.send("odd/one/a", 1).status == 202, "the disk takes messages again")
    host.await_idle()
    host.stop()


def test_stop_on_a_full_disk_ends_in_time(small_disk: Callable[[str], Path], make_host: Make, scripted: Start) -> None:
    """What the disk does not take is promised to nobody, and does not keep the process."""
    disk = small_disk("120m")
    gate = threading.Event()
    function = scripted(lambda call: Reply(reply_to(call, "proa/json", b"1")) if gate.wait(60) else Reply(status=500))
    host = make_host().configure({"odd/*": function.url}, options=("--stop-timeout", "2s"))
    host.data = disk / "data"
    host.start()
    with ThreadPoolExecutor(100) as pool:  # asks are in memory only until their clients are told something
        asked = [pool.submit(host.ask, f"odd/one/{id}", "x" * 600_000) for id in range(100)]
        host.await_metric("proa_asks_waiting", 100)
        with pytest.raises(OSError, match="No space left"):
            (disk / "others").write_bytes(b"x" * (120 << 20))
        began = time.monotonic()
        host.terminate()
        assert host.wait() == 1
        assert time.monotonic() - began < 2 + 8, "closing has some seconds of its own"
        answers = [each.result() for each in asked]
    assert {(answer.status, answer.code) for answer in answers} == {(503, "stopping")}
    assert all("whether the message was taken is not known" in answer.json["detail"] for answer in answers)
    assert [event["event"] for event in host.events()][-1] == "host.stop_timeout"
    (disk / "others").unlink()
    gate.set()
    host.start()
    assert host.ask("odd/one/a", 1).json == 1
    host.stop()
