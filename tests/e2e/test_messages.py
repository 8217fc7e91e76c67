# SPDX-License-Identifier: Apache-2.0
"""What functions do with messages: send, delay, cancel, defer, emit, reject, expire."""

from __future__ import annotations

import pytest
from harness import Host, wait_until

pytestmark = pytest.mark.threads


def test_functions_send_to_functions(host: Host) -> None:
    assert host.ask("zoo/forward/a", {"ids": ["x", "y", "x"], "amount": 4}).json == 3
    host.await_idle()
    assert host.ask("zoo/counter/x", 0).json == 8
    assert host.ask("zoo/counter/y", 0).json == 4


def test_delayed_send_of_a_client(host: Host) -> None:
    assert host.send("zoo/counter/late", 3, query="delay=1h").status == 202
    assert host.send("zoo/counter/soon", 4, query="delay=50ms").status == 202
    host.await_metrics(lambda metrics: metrics["proa_timers_fired_total"] == 1, "one timer fired")
    host.await_metric("proa_mailbox_messages", 0)
    assert host.ask("zoo/counter/soon", 0).json == 4
    assert host.ask("zoo/counter/late", 0).json == 0
    assert host.metrics()["proa_timers"] == 1


def test_delayed_message_of_a_function_and_its_cancel(host: Host) -> None:
    host.ask("zoo/forward/a", {"ids": ["kept"], "delay_ms": 60000, "token": "one"})
    host.ask("zoo/forward/a", {"ids": ["gone"], "delay_ms": 60000, "token": "two"})
    host.await_metric("proa_timers", 2)
    host.ask("zoo/forward/b", {"ids": [], "cancel": "two"})  # another instance's token: no effect
    assert host.metrics()["proa_timers"] == 2
    host.ask("zoo/forward/a", {"ids": [], "cancel": "two"})
    host.ask("zoo/forward/a", {"ids": [], "cancel": "never used"})
    metrics = host.await_metric("proa_timers", 1)
    assert metrics["proa_timers_cancelled_total"] == 1


def test_token_is_free_again_after_its_message_left(host: Host) -> None:
    for round in range(2):
        host.ask("zoo/forward/a", {"ids": ["x"], "delay_ms": 1, "token": "same"})
        host.await_metric("proa_timers_fired_total", round + 1)
    host.await_idle()
    assert host.ask("zoo/counter/x", 0).json == 2


def test_chain_of_ten_answers_the_first_ask(host: Host) -> None:
    answer = host.ask("zoo/chain/a", {"hops": 9})
    assert (answer.status, answer.json) == (200, 1)
    assert host.await_idle()["proa_messages_sent_total"] == 9


def test_rejection_reaches_the_asker_and_leaves_nothing(host: Host) -> None:
    assert host.ask("zoo/picky/a", 5).json == 5
    answer = host.ask("zoo/picky/a", -3)
    assert (answer.status, answer.code) == (422, "rejected")
    assert answer.json["source"] == "function"
    assert answer.json["detail"] == "the amount must not be negative"
    assert answer.json["function_code"] == "negative"
    host.await_metric("proa_parked_messages", 1)
    assert host.ask("zoo/picky/a", 1).json == 6


def test_messages_before_and_after_a_rejected_one_count(host: Host) -> None:
    for amount in (1, 2, -5, 3, -6, 4):
        assert host.send("zoo/picky/a", amount).status == 202
    host.await_metric("proa_parked_messages", 2)
    host.await_metric("proa_mailbox_messages", 0)
    assert host.ask("zoo/picky/a", 0).json == 10


def test_message_to_nobody_is_parked_and_the_rest_holds(host: Host) -> None:
    assert host.ask("zoo/lost/a", 5).json == 5
    host.await_metric("proa_parked_messages", 1)
    assert host.ask("zoo/lost/a", 5).json == 10


def test_egress_records_are_printed_in_order(host: Host) -> None:
    for count in (3, 0, 2):
        assert host.ask("zoo/emit/a", count).json == count
    assert host.metrics()["proa_outbox_records"] == 5
    host.stop()
    records = host.egress("zoo/records")
    assert [record["value"] for record in records] == ["a:0", "a:1", "a:2", "a:0", "a:1"]
    assert {record["sender"] for record in records} == {"zoo/emit/a"}


def test_values_vanish_after_their_time(host: Host) -> None:
    assert host.ask("zoo/short_lived/a", 7).json == [7, 7]
    host.await_metrics(lambda metrics: metrics["proa_state_values_expired_total"] >= 2, "both values expired")
    assert host.ask("zoo/short_lived/a", 0).json == [0, 0]


def test_value_vanishes_though_it_is_looked_at(host: Host) -> None:
    host.ask("zoo/short_lived/a", 7)
    wait_until(lambda: host.ask("zoo/short_lived/a", 0).json[0] == 0, "the written value vanished")


def test_order_of_one_instance(host: Host) -> None:
    counts = [number % 4 for number in range(50)]
    for number in counts:
        assert host.send("zoo/emit/a", number).status == 202
    host.await_idle()
    host.stop()
    records = [record["value"] for record in host.egress("zoo/records")]
    assert records == [f"a:{each}" for number in counts for each in range(number)]
