# SPDX-License-Identifier: Apache-2.0
"""The interpreter of ../README.md on StateFun's Python SDK, served by aiohttp as its documentation shows."""

from __future__ import annotations

import os
import sys
import traceback
from datetime import timedelta

import statefun
from aiohttp import web

NAME, PORT, COUNT_TYPE = sys.argv[1:4]
TYPES = {
    "bool": statefun.BoolType,
    "int": statefun.IntType,
    "long": statefun.LongType,
    "float": statefun.FloatType,
    "double": statefun.DoubleType,
    "string": statefun.StringType,
}
PROGRAM = statefun.make_json_type("interop/program")
SHOWN = statefun.make_json_type("interop/shown")
SPECS = [
    statefun.ValueSpec("count", TYPES[COUNT_TYPE]),
    statefun.ValueSpec("total", statefun.IntType),
    statefun.ValueSpec("word", statefun.StringType),
    statefun.ValueSpec("blob", statefun.StringType),
    statefun.ValueSpec("seen", statefun.StringType),
    statefun.ValueSpec("flag", statefun.BoolType),
    statefun.ValueSpec("brief", statefun.StringType, expire_after_write=timedelta(milliseconds=300)),
    statefun.ValueSpec("idle", statefun.StringType, expire_after_call=timedelta(milliseconds=900)),
]
functions = statefun.StatefulFunctions()


class Task:
    """One message being handled."""

    def __init__(self, context: statefun.Context, program: dict) -> None:
        self.context = context
        self.program = program
        self.caller = text_of(context.caller)
        self.answer_to = program.get("reply") or self.caller
        self.is_answered = False

    def send(self, to: str, value_type: statefun.Type, value: object) -> None:
        self.context.send(message_to(to, value_type, value))

    def answer(self, value_type: statefun.Type, value: object) -> None:
        self.is_answered = True
        if self.answer_to:
            self.send(self.answer_to, value_type, value)

    def run(self) -> None:
        number = self.program.get("number", "")
        if number:
            append_seen(self.context, number)
        for op in self.program.get("ops", []):
            getattr(self, "do_" + op["kind"])(op)
        if not self.is_answered and self.caller and self.caller.startswith("proa/"):
            self.answer(SHOWN, {"number": number})

    def do_add(self, op: dict) -> None:
        self.context.storage.total = (self.context.storage.total or 0) + op["amount"]

    def do_blob(self, op: dict) -> None:
        self.context.storage.blob = op["text"].ljust(5000)

    def do_set(self, op: dict) -> None:
        setattr(self.context.storage, op["state"], op["value"])

    def do_del(self, op: dict) -> None:
        delattr(self.context.storage, op["state"])

    def do_note(self, op: dict) -> None:
        self.context.storage.word = self.caller or "nobody"

    def do_emit(self, op: dict) -> None:
        record = statefun.egress_message_builder("interop/records", op["record"], statefun.StringType)
        self.context.send_egress(record)

    def do_send(self, op: dict) -> None:
        self.send(op["to"], PROGRAM, op["message"])

    def do_delay(self, op: dict) -> None:
        message = message_to(op["to"], PROGRAM, op["message"])
        self.context.send_after(timedelta(milliseconds=op["delay_ms"]), message, op.get("token", ""))

    def do_cancel(self, op: dict) -> None:
        self.context.cancel_delayed_message(op["token"])

    def do_send_value(self, op: dict) -> None:
        self.send(op["to"], TYPES[op["type"]], op["value"])

    def do_hand_on(self, op: dict) -> None:
        self.is_answered = True
        self.send(op["to"], PROGRAM, {**op["message"], "reply": self.answer_to})

    def do_reply(self, op: dict) -> None:
        self.answer(TYPES[op["type"]], op["value"])

    def do_look(self, op: dict) -> None:
        shown = {spec.name: getattr(self.context.storage, spec.name) for spec in SPECS}
        shown["blob"] = shown["blob"] and shown["blob"][:40]
        self.answer(SHOWN, {**shown, "self": text_of(self.context.address), "caller": self.caller})

    def do_fail(self, op: dict) -> None:
        if not op.get("file") or os.path.exists(op["file"]):
            raise RuntimeError("told to fail")


def text_of(address: statefun.SdkAddress | None) -> str | None:
    return f"{address.typename}/{address.id}" if address else None


def message_to(to: str, value_type: statefun.Type, value: object) -> statefun.Message:
    namespace, name, id = to.split("/", 2)
    return statefun.message_builder(f"{namespace}/{name}", id, value=value, value_type=value_type)


def append_seen(context: statefun.Context, text: str) -> None:
    context.storage.seen = f"{context.storage.seen or ''}{text} "


def note_value(context: statefun.Context, message: statefun.Message) -> None:
    """Puts a value that is no program into the log."""
    for name, value_type in TYPES.items():
        if message.is_type(value_type):
            value = message.as_type(value_type)
            append_seen(context, f"{name}:{str(value).lower() if name == 'bool' else value}")
            return
    append_seen(context, f"other:{message.value_typename()}")


@functions.bind(f"interop/{NAME}", SPECS)
async def interpret(context: statefun.Context, message: statefun.Message) -> None:
    if message.is_type(PROGRAM):
        Task(context, message.as_type(PROGRAM)).run()
    elif message.value_typename() == "interop/passed":
        context.send(statefun.Message("probe/raw", NAME, message.typed_value))
    else:
        note_value(context, message)


handler = statefun.RequestReplyHandler(functions)


async def handle(request: web.Request) -> web.Response:
    try:
        answer = await handler.handle_async(await request.read())
    except RuntimeError:
        return web.Response(status=500)
    except Exception:
        traceback.print_exc()
        raise
    return web.Response(body=answer, content_type="application/octet-stream")


app = web.Application()
app.add_routes([web.post("/statefun", handle)])
web.run_app(app, host="127.0.0.1", port=int(PORT), print=None, access_log=None)
