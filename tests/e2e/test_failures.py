# SPDX-License-Identifier: Apache-2.0
"""What failure looks like: endpoints that are away, functions that answer nonsense, work that takes long."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from harness import Host, PythonFunctions, ScriptedFunction, wait_until
from harness.function import Call, Reply, reply_to
from proa import _wire_pb2 as wire

Start = Callable[[Callable[[Call], Reply]], ScriptedFunction]
Make = Callable[[], Host]
JSON = "proa/json"

MODULE = """
kind: proa.v1/endpoint
spec:
  functions:
    odd/*: {{}}
  url: {url}
  call: {{{call}}}
  retry: {{first: 5ms, max: 20ms, {retry}}}
"""

MODULE_OF_ZOO = """
kind: proa.v1/endpoint
spec: {{functions: {{zoo/*: {{}}}}, url: "{url}", retry: {{first: 100ms, factor: 1}}}}
"""


def answer_one(call: Call) -> Reply:
    return Reply(reply_to(call, JSON, b"1"))


def serve(make_host: Make, function: ScriptedFunction, call: str = "timeout: 30s", retry: str = "attempts: 3") -> Host:
    return make_host().configure(module=MODULE.format(url=function.url, call=call, retry=retry)).start()


ENDPOINT_TROUBLE = {
    "404": Reply(status=404),
    "405": Reply(status=405),
    "408": Reply(status=408),
    "415": Reply(status=415),
    "429": Reply(status=429),
    "502": Reply(status=502),
    "503": Reply(status=503),
    "504": Reply(status=504),
    "no content type": Reply(content_type=None, body=b""),
    "wrong content type": Reply(content_type="text/html", body=b"<html>"),
    "a content type with a parameter": Reply(content_type="application/octet-stream; charset=utf-8", body=b""),
    "hang up": Reply(hang_up=True),
}


@pytest.mark.parametrize("trouble", ENDPOINT_TROUBLE.values(), ids=ENDPOINT_TROUBLE.keys())
def test_trouble_of_the_endpoint_is_waited_out(make_host: Make, scripted: Start, trouble: Reply) -> None:
    function = scripted(lambda call: trouble if len(function.calls) <= 3 else answer_one(call))
    host = serve(make_host, function)
    answer = host.ask("odd/one/a", 1)
    assert (answer.status, answer.json) == (200, 1)
    metrics = host.metrics()
    assert metrics["proa_calls_failed_total"] == 3
    assert metrics["proa_parked_messages"] == 0


def test_endpoint_down_then_up(make_host: Make, scripted: Start) -> None:
    function = scripted(answer_one)
    function.stop()
    host = serve(make_host, function)
    for id in range(20):
        assert host.send(f"odd/one/{id}", 1).status == 202
    host.await_metrics(lambda metrics: metrics["proa_endpoints_down"] == 1, "the endpoint is seen as down")
    assert host.metrics()["proa_mailbox_messages"] == 20
    function.start()
    host.await_idle()
    assert host.metrics()["proa_endpoints_down"] == 0
    assert {call.batch.target.id for call in function.calls} == {str(id) for id in range(20)}


def test_an_exception_is_in_the_log_and_counted(make_host: Make, zoo: PythonFunctions) -> None:
    """From the first attempt on: whoever tries a function for the first time sees nothing but a client that waits."""
    host = make_host().configure(module=MODULE_OF_ZOO.format(url=zoo.url)).start()
    answer = host.ask("zoo/broken/a", 13, query="timeout=1s")
    assert answer.code == "timeout"
    assert answer.json["detail"].endswith("if its function or endpoint fails, the host's log says how")
    assert host.metrics()["proa_calls_failed_total"] > 0
    failed = next(event for event in host.events() if event["event"] == "call.failed")
    assert failed["subject"] == "zoo/broken/a"
    assert failed["text"] == "the function failed: RuntimeError: it cannot stand thirteen"


def test_a_refusal_without_a_reason(make_host: Make, scripted: Start) -> None:
    def refuse(call: Call) -> Reply:
        result = wire.FromFunction()
        result.invocation_result.failure.code = "closed"
        return Reply(result)

    answer = serve(make_host, scripted(refuse)).ask("odd/one/a", 1)
    assert (answer.status, answer.json["function_code"]) == (422, "closed")
    assert answer.json["detail"] == "the function refused the message and gave no reason"


def test_what_a_result_names_and_nobody_has_is_named_in_the_log(make_host: Make, scripted: Start) -> None:
    def send_astray(call: Call) -> Reply:
        result = reply_to(call, JSON, b"1")
        outgoing = result.invocation_result.outgoing_messages.add()
        outgoing.target.namespace, outgoing.target.type, outgoing.target.id = "even", "one", "b"
        delayed = result.invocation_result.delayed_invocations.add(delay_in_ms=1)
        delayed.target.namespace, delayed.target.type, delayed.target.id = "even", "two", "b"
        result.invocation_result.outgoing_egresses.add(egress_namespace="even", egress_type="out")
        return Reply(result)

    host = serve(make_host, scripted(send_astray))
    assert host.ask("odd/one/a", 1).status == 200
    assert [event["text"] for event in host.events() if event["event"] == "message.parked"] == [
        f"unknown_function: no endpoint serves {name}, to which it was sent; add it to the module file or by --function"
        for name in ("even/one", "even/two")
    ] + ["unknown_egress: there is no egress even/out; add it to the module file or by --egress"]


def test_an_endpoint_that_does_not_know_a_function_says_what_it_knows(make_host: Make, zoo: PythonFunctions) -> None:
    host = make_host().configure({"zoo/*": zoo.url}).start()
    assert host.ask("zoo/brokn/a", 1, query="timeout=1s").code == "timeout"
    blocked = next(event["text"] for event in host.events() if event["event"] == "type.blocked")
    assert blocked.startswith("its endpoint does not know this function; deploy it or mend the module file; it says:")
    assert "zoo/broken" in blocked


def test_name_that_does_not_exist(make_host: Make) -> None:
    host = make_host().configure({"odd/*": "http://no-such-name.invalid:1/"}).start()
    answer = host.ask("odd/one/a", 1, query="timeout=1s")
    assert (answer.status, answer.code) == (504, "timeout")
    host.await_metric("proa_endpoints_down", 1)
    host.stop()


def bad_answers() -> dict[str, Callable[[Call], Reply]]:
    """Answers that break the protocol, each its own way."""

    def edited(edit: Callable[[wire.FromFunction], None]) -> Callable[[Call], Reply]:
        def answer(call: Call) -> Reply:
            result = reply_to(call, JSON, b"666")
            edit(result)
            return Reply(result)

        return answer

    def mutate(result: wire.FromFunction) -> None:
        mutation = result.invocation_result.state_mutations.add(state_name="never_declared", mutation_type=1)
        mutation.state_value.typename = "x/y"

    def bad_id(result: wire.FromFunction) -> None:
        outgoing = result.invocation_result.outgoing_messages.add()
        outgoing.target.namespace, outgoing.target.type, outgoing.target.id = "odd", "one", "nul\0here"

    def negative_delay(result: wire.FromFunction) -> None:
        delayed = result.invocation_result.delayed_invocations.add(delay_in_ms=-1)
        delayed.target.namespace, delayed.target.type, delayed.target.id = "odd", "one", "b"

    def failure_index(result: wire.FromFunction) -> None:
        result.invocation_result.failure.index = 7

    return {
        "garbage": lambda call: Reply(body=b"\xff\xff\xff\xff"),
        "500": lambda call: Reply(status=500, content_type="text/plain", body=b"sorry"),
        "400": lambda call: Reply(status=400),
        "state never declared": edited(mutate),
        "an id with NUL": edited(bad_id),
        "a negative delay": edited(negative_delay),
        "a failure out of range": edited(failure_index),
    }


@pytest.mark.parametrize("name", bad_answers())
def test_answers_that_break_the_protocol_change_nothing(make_host: Make, scripted: Start, name: str) -> None:
    bad = bad_answers()[name]
    function = scripted(lambda call: bad(call) if len(function.calls) <= 2 else answer_one(call))
    host = serve(make_host, function, retry="attempts: 20")
    answer = host.ask("odd/one/a", 1)
    assert (answer.status, answer.json) == (200, 1)
    assert len(function.calls) == 3


def test_message_is_parked_after_its_attempts(make_host: Make, scripted: Start) -> None:
    function = scripted(lambda call: Reply(status=500) if b"13" in call.values else answer_one(call))
    host = serve(make_host, function, retry="attempts: 3, then: park")
    answer = host.ask("odd/one/a", 13)
    assert (answer.status, answer.code) == (502, "parked")
    assert host.ask("odd/one/a", 1).json == 1
    assert host.await_metric("proa_parked_messages", 1)["proa_messages_parked_total"] == 1
    host.restart()
    assert host.metrics()["proa_parked_messages"] == 1


def test_message_is_dropped_if_so_configured(make_host: Make, scripted: Start) -> None:
    function = scripted(lambda call: Reply(status=500) if b"13" in call.values else answer_one(call))
    host = serve(make_host, function, retry="attempts: 2, then: drop")
    answer = host.ask("odd/one/a", 13)
    assert (answer.status, answer.code) == (502, "dropped")
    assert host.metrics()["proa_messages_dropped_total"] == 1
    assert host.ask("odd/one/a", 1).json == 1


def test_message_blocks_its_instance_only(make_host: Make, scripted: Start) -> None:
    mended = threading.Event()

    def answer(call: Call) -> Reply:
        return Reply(status=500) if b"13" in call.values and not mended.is_set() else answer_one(call)

    host = serve(make_host, scripted(answer), retry="attempts: 3, then: block")
    assert host.send("odd/one/a", 13).status == 202
    assert host.send("odd/one/a", 1).status == 202
    host.await_metric("proa_instances_blocked", 1)
    assert host.ask("odd/one/b", 1).json == 1
    mended.set()
    host.await_idle()
    assert host.metrics()["proa_instances_blocked"] == 0


def test_poison_message_does_not_hold_up_its_batch_for_ever(make_host: Make, scripted: Start) -> None:
    gate = threading.Event()

    def answer(call: Call) -> Reply:
        gate.wait(60)
        return Reply(status=500) if b"13" in call.values else answer_one(call)

    function = scripted(answer)
    host = serve(make_host, function, retry="attempts: 2, then: park")
    for value in [0, *range(1, 30)]:
        assert host.send("odd/one/a", value).status == 202
    gate.set()
    host.await_metric("proa_parked_messages", 1)
    host.await_metric("proa_mailbox_messages", 0)
    alone = [call.values for call in function.calls if len(call.values) == 1]
    assert [b"13"] in alone


def test_timeout_of_an_ask_and_the_work_goes_on(make_host: Make, scripted: Start) -> None:
    gate = threading.Event()

    def answer(call: Call) -> Reply:
        gate.wait(60)
        return answer_one(call)

    host = serve(make_host, scripted(answer))
    answer_of_ask = host.ask("odd/one/a", 1, query="timeout=100ms")
    assert (answer_of_ask.status, answer_of_ask.code) == (504, "timeout")
    assert host.metrics()["proa_mailbox_messages"] == 1
    gate.set()
    host.await_idle()
    assert host.metrics()["proa_messages_handled_total"] == 1


def test_call_that_hangs_is_given_up_and_made_again(make_host: Make, scripted: Start) -> None:
    gate = threading.Event()

    def answer(call: Call) -> Reply:
        if len(function.calls) == 1:
            gate.wait(60)
        return answer_one(call)

    function = scripted(answer)
    host = serve(make_host, function, call="timeout: 2s")
    assert host.ask("odd/one/a", 1).json == 1
    gate.set()
    assert len(function.calls) == 2
    assert host.await_idle()["proa_messages_handled_total"] == 1


def test_answer_without_the_wanted_reply_leaves_the_ask_open(make_host: Make, scripted: Start) -> None:
    host = serve(make_host, scripted(lambda call: Reply(wire.FromFunction())))
    answer = host.ask("odd/one/a", 1, query="timeout=100ms")
    assert (answer.status, answer.code) == (504, "timeout")
    assert host.await_idle()["proa_messages_handled_total"] == 1


def test_second_reply_is_dropped(make_host: Make, scripted: Start) -> None:
    def answer(call: Call) -> Reply:
        result = reply_to(call, JSON, b"1")
        result.invocation_result.outgoing_messages.add().CopyFrom(result.invocation_result.outgoing_messages[0])
        result.invocation_result.outgoing_messages[1].argument.value = b"2"
        return Reply(result)

    host = serve(make_host, scripted(answer))
    assert host.ask("odd/one/a", 1).json == 1
    host.await_metrics(lambda metrics: metrics["proa_replies_unknown_total"] == 1, "the second reply was dropped")


def test_endless_handshake_blocks_the_type(make_host: Make, scripted: Start) -> None:
    def answer(call: Call) -> Reply:
        result = wire.FromFunction()
        spec = result.incomplete_invocation_context.missing_values.add(state_name="s", type_typename="x/y")
        spec.expiration_spec.mode = 0
        return Reply(result)

    function = scripted(answer)
    host = serve(make_host, function)
    assert host.send("odd/one/a", 1).status == 202
    host.await_metric("proa_types_blocked", 1)


def test_answer_over_the_limit_is_refused_and_others_go_on(make_host: Make, scripted: Start) -> None:
    def answer(call: Call) -> Reply:
        large = b'"' + b"x" * (9 << 20) + b'"'
        return Reply(reply_to(call, JSON, large)) if call.batch.target.id == "large" else answer_one(call)

    host = serve(make_host, scripted(answer), retry="attempts: 2, then: park")
    assert host.ask("odd/one/large", 1).status == 502
    assert host.ask("odd/one/small", 1).json == 1


def test_kill_of_the_function_process(make_host: Make, own_functions: Callable[..., PythonFunctions]) -> None:
    functions = own_functions()
    host = make_host().configure({"zoo/*": functions.url}).start()
    assert host.ask("zoo/counter/a", 1).json == 1
    functions.kill()
    for _ in range(10):
        assert host.send("zoo/counter/a", 1).status == 202
    host.await_metric("proa_endpoints_down", 1)
    functions.start()
    host.await_idle()
    assert host.ask("zoo/counter/a", 1).json == 12


def test_full_mailbox_tells_the_client_to_slow_down(make_host: Make, scripted: Start) -> None:
    function = scripted(answer_one)
    function.stop()
    host = make_host().configure({"odd/*": function.url}, options=("--messages-max", "50")).start()
    answers = [host.send("odd/one/a", 1) for _ in range(60)]
    refused = [answer for answer in answers if answer.status == 503]
    assert refused
    assert all(answer.code in ("overloaded", "mailbox_full") for answer in refused)
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    function.start()
    host.await_idle()
    assert host.metrics()["proa_messages_handled_total"] == 60 - len(refused)


def test_calls_say_what_they_must(make_host: Make, scripted: Start) -> None:
    function = scripted(lambda call: answer_with_features(call))
    host = serve(make_host, function)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for _ in range(2):
        assert host.ask("odd/one/a", 1, headers={"traceparent": trace}).status == 200
    first, second = function.calls
    for call in (first, second):
        assert call.headers["content-type"] == "application/octet-stream"
        assert call.headers["proa-features"] == "partial"
        assert call.headers["traceparent"] == trace
        assert "expect" not in call.headers
        assert call.batch.invocations[0].caller.namespace == "proa"
    assert first.batch.invocations[0].traceparent == ""  # nothing of ours before the endpoint has announced it
    assert first.batch.invocations[0].message_id == ""
    assert second.batch.invocations[0].traceparent == trace
    assert re.fullmatch(r"[0-9a-f]{32}-[1-9][0-9]*", second.batch.invocations[0].message_id)


def test_trace_contexts_of_a_batch(make_host: Make, scripted: Start) -> None:
    """One message: also the call's header, and what is sent for it has the same. Several: each has its own."""
    gate = threading.Event()

    def answer(call: Call) -> Reply:
        if call.batch.target.id == "many" and call.values == [b"1"]:
            gate.wait(60)
        result = reply_to(call, JSON, b"1") if call.batch.target.type == "one" else wire.FromFunction()
        if call.batch.target.type == "one":
            sent = result.invocation_result.outgoing_messages.add()
            sent.target.namespace, sent.target.type, sent.target.id = "odd", "two", call.batch.target.id
            later = result.invocation_result.delayed_invocations.add(delay_in_ms=1)
            later.target.CopyFrom(sent.target)
        return Reply(result, headers={"Proa-Features": "partial"})

    def trace(number: int) -> dict[str, str]:
        return {"traceparent": f"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333{number}-01"}

    function = scripted(answer)
    host = serve(make_host, function)
    assert host.ask("odd/one/alone", 1, headers=trace(0)).status == 200
    host.await_metric("proa_messages_handled_total", 3)
    assert host.send("odd/one/many", 1, headers=trace(1)).status == 202
    wait_until(lambda: function.calls[-1].batch.target.id == "many", "the first of many is under way")
    for number in (2, 3):
        assert host.send("odd/one/many", number, headers=trace(number)).status == 202
    gate.set()
    host.await_metric("proa_messages_handled_total", 10)
    seen = [
        (call.batch.target.type, call.headers.get("traceparent"), [each.traceparent for each in call.batch.invocations])
        for call in function.calls
    ]
    assert seen[0] == ("one", trace(0)["traceparent"], [""])  # the endpoint has not announced anything yet
    alone = [each for each, call in zip(seen, function.calls, strict=True) if call.batch.target.id == "alone"]
    assert all(header == trace(0)["traceparent"] for _, header, _ in alone)
    many = [each for each, call in zip(seen, function.calls, strict=True) if call.batch.target.id == "many"]
    assert ("one", None, [trace(2)["traceparent"], trace(3)["traceparent"]]) in many
    of_many = [each for type, _, traces in many if type == "two" for each in traces]
    assert sorted(of_many) == ["", "", *[trace(1)["traceparent"]] * 2]


def answer_with_features(call: Call) -> Reply:
    return Reply(reply_to(call, JSON, b"1"), headers={"Proa-Features": "partial"})


def test_message_keeps_its_id_over_attempts_and_kills(make_host: Make, scripted: Start) -> None:
    def answer(call: Call) -> Reply:
        if call.values == [b"13"] and not mended.is_set():
            return Reply(status=500, headers={"Proa-Features": "partial"})
        return answer_with_features(call)

    mended = threading.Event()
    function = scripted(answer)
    host = serve(make_host, function, retry="attempts: 1000")
    assert host.ask("odd/one/a", 1).status == 200
    assert host.send("odd/one/a", 13).status == 202
    host.await_metrics(lambda metrics: metrics["proa_calls_failed_total"] >= 3, "three calls failed")
    host.restart()
    assert host.ask("odd/one/b", 1).status == 200
    mended.set()
    host.await_idle()
    ids = {call.batch.invocations[0].message_id for call in function.calls if call.values == [b"13"]}
    assert len(ids - {""}) == 1


def test_batches_keep_their_limits(make_host: Make, scripted: Start) -> None:
    gate = threading.Event()

    def answer(call: Call) -> Reply:
        gate.wait(60)
        return answer_one(call)

    function = scripted(answer)
    host = serve(make_host, function, call="timeout: 60s, batch: 7")
    for number in range(40):
        assert host.send("odd/one/a", number).status == 202
    gate.set()
    host.await_idle()
    sizes = [len(call.values) for call in function.calls]
    assert sum(sizes) == 40
    assert max(sizes) == 7
    assert [value for call in function.calls for value in call.values] == [b"%d" % n for n in range(40)]


def test_batches_keep_their_bytes(make_host: Make, scripted: Start) -> None:
    function = scripted(answer_one)
    function.stop()
    host = serve(make_host, function, call="timeout: 60s, batch_bytes: 2KiB")
    for _ in range(10):
        assert host.send("odd/one/a", "x" * 900).status == 202
    assert host.send("odd/one/a", "y" * 5000).status == 202  # alone it may be larger
    function.start()
    host.await_idle()
    sizes = [[len(value) for value in call.values] for call in function.calls]
    assert sizes[-1] == [5002]
    assert sum(len(call) for call in sizes[:-1]) == 10
    assert all(sum(call) <= 2048 for call in sizes[:-1])
    assert [902, 902] in sizes, "those that fit go together"


def test_calls_in_flight_keep_their_limit(make_host: Make, scripted: Start) -> None:
    lock = threading.Lock()
    under_way = 0
    most = 0

    def answer(call: Call) -> Reply:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        gate.wait(60)
        with lock:
            under_way -= 1
        return answer_one(call)

    gate = threading.Event()
    gate.set()
    host = serve(make_host, scripted(answer), call="timeout: 60s, in_flight: 3")
    assert host.ask("odd/one/a", 1).json == 1  # a type whose endpoint never answered gets one call at a time
    gate.clear()
    for id in range(20):
        assert host.send(f"odd/one/{id}", 1).status == 202
    wait_until(lambda: under_way >= 3, "the calls are under way")
    gate.set()
    host.await_idle()
    assert most == 3


def test_without_running_ahead_a_call_sees_only_what_is_on_disk(make_host: Make, scripted: Start) -> None:
    epochs: list[float] = []

    def answer(call: Call) -> Reply:
        epochs.append(host.metrics()["proa_epochs_total"])
        return answer_one(call)

    host = make_host()
    function = scripted(answer)
    module = MODULE.format(url=function.url, call="run_ahead: false", retry="attempts: 3")
    host.configure(module=module).start()
    for _ in range(5):
        before = host.metrics()["proa_epochs_total"]
        assert host.ask("odd/one/a", 1).json == 1
        assert epochs[-1] > before, "the call came before the commit of its message"


def test_url_template_and_several_endpoints(make_host: Make, scripted: Start) -> None:
    one, two = scripted(answer_one), scripted(answer_one)
    host = make_host().configure({"odd/*": one.url + "f/{function.name}", "odd/two": two.url}).start()
    assert host.ask("odd/one/a", 1).json == 1
    assert host.ask("odd/two/a", 1).json == 1
    assert [call.path for call in one.calls] == ["/f/one"]
    assert [call.path for call in two.calls] == ["/"]


def test_instances_do_not_wait_for_each_other(make_host: Make, scripted: Start) -> None:
    gate = threading.Event()

    def answer(call: Call) -> Reply:
        if call.batch.target.id == "slow":
            gate.wait(60)
        return answer_one(call)

    host = serve(make_host, scripted(answer))
    assert host.ask("odd/one/a", 1).json == 1  # a type whose endpoint never answered gets one call at a time
    assert host.send("odd/one/slow", 1).status == 202
    host.await_metric("proa_calls_in_flight", 1)
    for id in range(20):
        assert host.ask(f"odd/one/{id}", 1).json == 1
    gate.set()
    host.await_idle()


def test_result_with_an_unknown_egress_parks_the_record_only(make_host: Make, scripted: Start) -> None:
    def answer(call: Call) -> Reply:
        result = reply_to(call, JSON, b"1")
        record = result.invocation_result.outgoing_egresses.add(egress_namespace="no", egress_type="where")
        record.argument.typename = JSON
        return Reply(result)

    host = serve(make_host, scripted(answer))
    assert host.ask("odd/one/a", 1).json == 1
    host.await_metric("proa_parked_messages", 1)


def test_late_answer_of_a_call_given_up_changes_nothing(make_host: Make, scripted: Start) -> None:
    gate = threading.Event()

    def answer(call: Call) -> Reply:
        is_late = len(function.calls) == 1 and gate.wait(60)
        return Reply(reply_to(call, JSON, b'"late"' if is_late else b'"in time"'))

    function = scripted(answer)
    host = serve(make_host, function, call="timeout: 200ms")
    assert host.ask("odd/one/a", 1).json == "in time"
    gate.set()
    assert host.ask("odd/one/a", 1).json == "in time"
    assert host.await_idle()["proa_messages_handled_total"] == 2
