# SPDX-License-Identifier: Apache-2.0
"""What outlasts a crash, an ordinary stop, and a data folder that cannot be used."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
from harness import Host, HostFailed, PythonFunctions, ScriptedFunction, wait_until
from harness.function import Call, Reply, reply_to
from harness.host import binary

Make = Callable[[], Host]
Start = Callable[[Callable[[Call], Reply]], ScriptedFunction]
STOP_S = 10


def test_kill_and_start_again(host: Host) -> None:
    host.ask("zoo/counter/bob", 5)
    host.ask("zoo/counter/bob", 2)
    host.restart()
    assert host.ask("zoo/counter/bob", 1).json == 8


def test_mailboxes_timers_and_outbox_outlast_a_kill(make_host: Make, zoo: PythonFunctions, scripted: Start) -> None:
    away = scripted(lambda call: Reply(status=503))
    host = make_host().configure({"zoo/*": zoo.url, "away/*": away.url}, egresses=("zoo/records",)).start()
    for id in range(5):
        assert host.send(f"away/one/{id}", 1).status == 202
    assert host.send("zoo/counter/a", 3, query="delay=1h").status == 202
    assert host.send("zoo/counter/b", 4, query="delay=1s").status == 202
    assert host.ask("zoo/emit/a", 3).json == 3
    host.restart()
    assert host.metrics()["proa_outbox_records"] == 3
    host.await_metric("proa_timers", 1)
    host.await_metric("proa_mailbox_messages", 5)
    assert host.ask("zoo/counter/b", 0).json == 4


def test_message_in_a_call_is_called_again_after_a_kill(make_host: Make, scripted: Start) -> None:
    gate = threading.Event()

    def answer(call: Call) -> Reply:
        gate.wait(60)
        return Reply(reply_to(call, "proa/json", b"1"))

    function = scripted(answer)
    host = make_host().configure({"odd/*": function.url}).start()
    assert host.send("odd/one/a", 7).status == 202
    wait_until(lambda: function.calls, "the call is under way")
    host.restart()
    gate.set()
    host.await_idle()
    assert [call.values for call in function.calls] == [[b"7"], [b"7"]]
    ids = {call.batch.invocations[0].message_id for call in function.calls}
    assert len(ids - {""}) <= 1


def test_handshake_is_not_repeated(make_host: Make, zoo: PythonFunctions) -> None:
    host = make_host().configure({"zoo/*": zoo.url}).start()
    host.ask("zoo/counter/a", 1)
    assert host.metrics()["proa_handshakes_total"] == 1
    host.ask("zoo/counter/b", 1)
    assert host.metrics()["proa_handshakes_total"] == 1
    host.restart()
    assert host.ask("zoo/counter/a", 1).json == 2
    assert host.metrics()["proa_handshakes_total"] == 0


def test_large_state_outlasts_a_kill(host: Host) -> None:
    assert host.ask("zoo/keep/a", "x" * 200_000).json == 0
    assert host.ask("zoo/keep/a", "y" * 100).json == 200_000
    host.restart()
    assert host.ask("zoo/keep/a", "z" * 300_000).json == 100
    host.restart()
    assert host.ask("zoo/keep/a", "").json == 300_000


def test_order_over_a_kill(make_host: Make, zoo: PythonFunctions, scripted: Start) -> None:
    function = scripted(lambda call: Reply(reply_to(call, "proa/json", b"1")))
    function.stop()
    host = make_host().configure({"odd/*": function.url}).start()
    for number in range(40):
        assert host.send("odd/one/a", number).status == 202
        if number == 20:
            host.restart()
    host.restart()
    function.start()
    host.await_idle()
    assert [value for call in function.calls for value in call.values] == [b"%d" % n for n in range(40)]


def test_stop_answers_everybody(make_host: Make, scripted: Start) -> None:
    gate = threading.Event()

    def answer(call: Call) -> Reply:
        gate.wait(60)
        return Reply(reply_to(call, "proa/json", b"1"))

    host = make_host().configure({"odd/*": scripted(answer).url}).start()
    answers: list[tuple[int, str, str]] = []

    def ask(id: int) -> None:
        answer = host.ask(f"odd/one/{id}", 1)
        answers.append((answer.status, answer.code, answer.headers.get("retry-after", "")))

    askers = [threading.Thread(target=ask, args=(id,)) for id in range(20)]
    for asker in askers:
        asker.start()
    host.await_metric("proa_asks_waiting", 20)
    began = time.monotonic()
    host.stop()
    assert time.monotonic() - began < STOP_S + 2
    for asker in askers:
        asker.join()
    assert [(status, code) for status, code, _ in answers] == [(503, "stopping")] * 20
    assert all(int(retry_after) > 0 for _, _, retry_after in answers)
    gate.set()
    host.start()  # what they asked is durable, and is done now
    host.await_idle()
    assert host.metrics()["proa_messages_handled_total"] == 20


def test_stop_without_work_is_quick(host: Host) -> None:
    host.ask("zoo/counter/a", 1)
    began = time.monotonic()
    host.stop()
    assert time.monotonic() - began < STOP_S


def test_two_hosts_on_one_folder(host: Host, make_host: Make, zoo: PythonFunctions) -> None:
    second = make_host().configure({"zoo/*": zoo.url})
    second.data = host.data
    second.spawn()
    assert second.wait() != 0
    assert "in use" in second.log or "in_use" in second.log
    assert str(host.data) in second.log
    assert host.ask("zoo/counter/a", 1).status == 200


READ_ONLY = "is not writable: Permission denied; mend that, or choose another --data"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("a file in its place", "Not a directory"),
        ("under a file", "cannot be made: Not a directory; make it, or choose another --data"),
        ("read-only", READ_ONLY),
    ],
)
def test_folder_that_cannot_be_used(
    make_host: Make, zoo: PythonFunctions, tmp_path: Path, kind: str, words: str
) -> None:
    host = make_host().configure({"zoo/*": zoo.url})
    if kind == "a file in its place":
        host.data.write_text("")
    elif kind == "under a file":
        (tmp_path / "file").write_text("")
        host.data = tmp_path / "file/data"
    else:
        host.data.mkdir(mode=0o500)
        if os.access(host.data, os.W_OK):  # root, who is bound by permissions only without these capabilities
            capabilities = "-dac_override,-dac_read_search"
            host.prefix = ["setpriv", "--inh-caps", capabilities, "--bounding-set", capabilities]
            if subprocess.run([*host.prefix, "true"], capture_output=True, check=False).returncode != 0:
                pytest.skip("this user may write everywhere, and may not give that up")
    host.spawn()
    assert host.wait() != 0
    (failed,) = [event for event in host.events() if event["event"] == "host.start_failed"]
    assert str(host.data) in failed["text"] and words in failed["text"]


def test_damaged_store_is_refused(make_host: Make, zoo: PythonFunctions) -> None:
    host = make_host().configure({"zoo/*": zoo.url}).start()
    host.ask("zoo/counter/a", 1)
    host.stop()
    file = next(path for path in host.data.iterdir() if path.name.startswith("data"))
    file.write_bytes(b"\x00" * 4096 * 2 + file.read_bytes()[8192:])
    host.spawn()
    assert host.wait() != 0


def test_what_only_the_journal_has_is_printed_and_gone_on_from(make_host: Make, zoo: PythonFunctions) -> None:
    host = make_host().configure({"zoo/*": zoo.url}, egresses=("zoo/records",)).start()
    for number in range(1, 4):
        assert host.ask("zoo/emit/a", number).json == number
        assert host.ask("zoo/counter/a", 1).json == number
        host.kill()
        printed = host.egress("zoo/records")
        assert len(printed) == number * (number + 1) // 2
        assert host.egress("zoo/records") == printed  # to print changes nothing
        host.start()
        assert host.metrics()["proa_outbox_records"] == len(printed)
    host.stop()
    assert host.egress("zoo/records") == printed


def journal_records(folder: Path) -> list[tuple[int, Path, int]]:
    """Number, file and place of every record of the journal's files, oldest first."""
    records = []
    for path in folder.glob("journal.*"):
        pages = path.read_bytes()
        for at in range(0, len(pages), 4096):
            if pages[at : at + 4] == b"PROJ":
                records.append((int.from_bytes(pages[at + 32 : at + 40], "little"), path, at))
    return sorted(records, key=lambda record: record[0])


def damage(path: Path, at: int) -> None:
    """Changes one byte."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


def test_damaged_journal_is_refused(make_host: Make, zoo: PythonFunctions) -> None:
    host = make_host().configure({"zoo/*": zoo.url}).start()
    for number in range(1, 6):
        assert host.ask("zoo/counter/a", 1).json == number
    host.kill()
    _, path, at = journal_records(host.data)[-3]
    damage(path, at + 70)
    host.spawn()
    assert host.wait() != 0
    assert "corrupt" in host.log and str(host.data) in host.log
    assert "restore the data folder from a backup" in host.log
    tool = subprocess.run(
        [binary(), "egress", "zoo/records", "--data", str(host.data)], capture_output=True, text=True, timeout=60
    )
    assert tool.returncode != 0
    assert f"{path.name} is damaged" in tool.stderr
    damage(path, at + 70)
    host.start()
    assert host.ask("zoo/counter/a", 1).json == 6


def test_journal_without_its_other_file_is_refused(make_host: Make, zoo: PythonFunctions) -> None:
    host = make_host().configure({"zoo/*": zoo.url}).start()
    host.ask("zoo/counter/a", 1)
    host.kill()
    (host.data / "journal.1").unlink()
    host.spawn()
    assert host.wait() != 0
    assert "journal.1 is missing" in host.log


def test_copy_of_a_stopped_folder_is_a_backup(host: Host, make_host: Make, zoo: PythonFunctions) -> None:
    host.ask("zoo/counter/a", 5)
    host.stop()
    copy = make_host().configure({"zoo/*": zoo.url})
    shutil.copytree(host.data, copy.data)
    copy.start()
    assert copy.ask("zoo/counter/a", 1).json == 6
    copy.stop()


def test_no_address_to_listen_on(make_host: Make, zoo: PythonFunctions, host: Host) -> None:
    second = make_host().configure({"zoo/*": zoo.url})
    second.wanted_ports = (str(host.ingress_port), "0")
    second.spawn()
    assert second.wait() != 0
    assert str(host.ingress_port) in second.log


def test_clock_far_behind_the_store(make_host: Make, zoo: PythonFunctions) -> None:
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
    if library is None:
        pytest.skip("libfaketime is not installed")
    host = make_host().configure({"zoo/*": zoo.url})
    if "sanitize" in subprocess.run(["ldd", binary()], capture_output=True, text=True, check=True).stdout:
        pytest.skip("libfaketime and sanitizers do not go together")
    preload = {"LD_PRELOAD": str(library), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    try:
        host.start({**preload, "FAKETIME": "+3h"})
    except HostFailed:
        pytest.skip("libfaketime does not work here")
    assert host.ask("zoo/counter/a", 1).json == 1
    host.stop()
    host.spawn()
    assert host.wait() != 0
    assert "clock" in host.log
    host.arguments += ["--allow-clock-ahead"]
    host.start()
    assert host.ask("zoo/counter/a", 1).json == 2


def crc32c(data: bytes) -> int:
    """CRC-32C, the checksum at the end of every record."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(("format", "word"), [(99, "newer"), (None, "corrupt")])
def test_store_of_a_newer_version_and_a_damaged_record(
    make_host: Make, zoo: PythonFunctions, format: int | None, word: str
) -> None:
    host = make_host().configure({"zoo/*": zoo.url}).start()
    host.ask("zoo/counter/a", 1)
    host.stop()
    with lmdb.open(str(host.data), max_dbs=32, map_size=1 << 26) as environment:
        meta = environment.open_db(b"meta")
        with environment.begin(write=True, db=meta) as transaction:
            record = bytearray(transaction.get(b"store"))
            if format is None:
                record[5] ^= 1
            else:
                record[0] = format
                record[-4:] = crc32c(bytes(record[:-4])).to_bytes(4, "little")
            transaction.put(b"store", bytes(record))
    host.spawn()
    assert host.wait() != 0
    assert word in host.log
