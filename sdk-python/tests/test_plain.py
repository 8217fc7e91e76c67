# SPDX-License-Identifier: Apache-2.0
"""The way back: what a host hears that announces no feature, as StateFun's runtime does.

Such a host takes an answer for a success only if it is a 2xx with the content type of the call, repeats everything
else, and knows no field of ours.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from support import ASKER, Answer, call, make_call, request, run, vectors

import proa
from proa import _wire_pb2 as wire

REQUESTS = {vector["name"]: vector for vector in vectors("requests.json")["vectors"] if vector["source"] == "statefun"}
ANSWERS = {vector["name"]: vector for vector in vectors("answers.json")["vectors"] if vector["source"] == "statefun"}
OURS_FIRST = 110  # numbers from here on are additions to StateFun's protocol
STATEFUN_HEADERS = [  # as its runtime sends them
    (b"content-type", b"application/octet-stream"),
    (b"accept", b"application/octet-stream"),
    (b"accept-encoding", b"gzip,deflate"),
    (b"connection", b"keep-alive"),
    (b"user-agent", b"statefun"),
]


class Stored(proa.State):
    seen = proa.value(int, typename="io.statefun.types/int")
    ttl = proa.value(str, expire=proa.after_write(timedelta(seconds=2)))
    idle = proa.value(int, expire=proa.after_invoke(timedelta(minutes=1)))


class State(proa.State):
    state = proa.value(int)


app = proa.App()


@app.function("ns/fn")
async def keeper(ctx: proa.Context[Stored], message: str) -> None:
    """What the captured Python function does with its state."""
    ctx.state.seen = (ctx.state.seen or 0) + 1


@app.function("statefun.smoke.e2e/command-interpreter-fn")
async def smoke(ctx: proa.Context[State], command: proa.RawValue) -> None:
    ctx.state.state = (ctx.state.state or 0) + 1


class Total(proa.State):
    total = proa.value(int, default=0)


@app.function("a/work")
async def work(ctx: proa.Context[Total], step: int) -> int:
    """Has every kind of effect, then fails if told so."""
    ctx.state.total += step
    ctx.send(work, id="x", message=step)
    ctx.send_after(timedelta(seconds=1), work, id="x", message=step, token=f"t{step}")
    ctx.emit("a/out", step)
    if step == 13:
        raise proa.Reject("unlucky", "no thirteen")
    if step == 14:
        raise RuntimeError("boom")
    return ctx.state.total


@app.function("a/thread")
def in_thread(ctx: proa.Context[Total], step: int) -> None:
    ctx.state.total += step
    if step == 13:
        raise proa.Reject("unlucky")


UNSET: dict[str, Any] = {"total": None}


def numbers_in(message: Message) -> set[int]:
    """Return every field number set in a message and in those within it."""
    found = set()
    for field, value in message.ListFields():
        found.add(field.number)
        if field.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                found |= numbers_in(part)
    return found


def plain(target: str, *messages: Any, states: dict[str, Any] | None = None, caller: Any = None) -> Answer:
    body = make_call(target, *messages, states=states, caller=caller)
    return run(request(app, body, headers=STATEFUN_HEADERS))


def assert_plain(answer: Answer) -> wire.FromFunction:
    """A success as StateFun's runtime knows it: this media type, and no field of ours."""
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    assert max(numbers_in(answer.message), default=0) < OURS_FIRST
    return answer.message


@pytest.mark.parametrize("name", REQUESTS)
def test_captured_requests_are_answered_plainly(name: str) -> None:
    answer = run(request(app, bytes.fromhex(REQUESTS[name]["hex"]), headers=STATEFUN_HEADERS))
    has_state = bool(REQUESTS[name]["request"]["states"])
    wanted = "invocation_result" if has_state else "incomplete_invocation_context"
    assert assert_plain(answer).WhichOneof("response") == wanted


@pytest.mark.parametrize(
    ("asked", "answered"), [("statefun_a", "statefun_go_incomplete"), ("statefun_b", "statefun_go_done")]
)
def test_captured_answers(asked: str, answered: str) -> None:
    """The same function on Go's SDK answered with these bytes."""
    answer = run(request(app, bytes.fromhex(REQUESTS[asked]["hex"]), headers=STATEFUN_HEADERS))
    theirs = wire.FromFunction.FromString(bytes.fromhex(ANSWERS[answered]["hex"]))
    for spec in theirs.incomplete_invocation_context.missing_values:
        spec.ClearField("expiration_spec")  # an empty one, which says none
    assert assert_plain(answer) == theirs


def test_every_effect_is_in_a_field_of_statefun() -> None:
    caller = ("a", "work", "other")
    assert_plain(plain("a/work/1", 1, 2, states=UNSET, caller=caller))
    assert_plain(plain("a/work/1", 1, states=UNSET, caller=ASKER))
    assert_plain(plain("a/work/1", 1))
    assert numbers_in(call(app, "a/work/1", 14, states=UNSET).message) >= {OURS_FIRST}, "this would find one of ours"


@pytest.mark.parametrize(
    ("target", "messages", "states"),
    [
        ("a/work/1", [1, 14, 2], UNSET),  # an exception
        ("a/work/1", [1, "x"], UNSET),  # a message that cannot be read, which the next deployment may mend
        ("a/work/1", [1], {"total": "text"}),  # a state value of another type
        ("a/nowhere/1", [1], None),
    ],
)
def test_failures_are_answers_that_are_repeated(
    target: str, messages: list[Any], states: dict[str, Any] | None
) -> None:
    answer = plain(target, *messages, states=states)
    assert answer.status == 500
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text


@pytest.mark.parametrize("target", ["a/work/1", "a/thread/1"])
@pytest.mark.parametrize("messages", [[13], [1, 13], [13, 2], [1, 13, 13, 2]])
def test_rejected_messages_are_dropped_loudly(
    target: str, messages: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """To fail would have the whole batch repeated for ever: the messages around it count, it leaves no trace."""
    kept = [step for step in messages if step != 13]
    assert assert_plain(plain(target, *messages, states=UNSET)) == assert_plain(plain(target, *kept, states=UNSET))
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) == len(messages) - len(kept)
    assert all(record.getMessage().endswith("this host cannot park it, so it is dropped") for record in records)


def test_the_asker_of_a_dropped_message_hears_nothing() -> None:
    result = assert_plain(plain("a/work/1", 13, states=UNSET, caller=ASKER)).invocation_result
    assert not result.ListFields()


def test_an_exception_behind_a_rejected_message_fails_the_batch() -> None:
    assert plain("a/work/1", 13, 14, states=UNSET).text.startswith("a/work/1: message 2 of 2 failed: exception: ")
