# SPDX-License-Identifier: Apache-2.0
"""One function that does what its messages say, and keeps in state which messages it has handled.

A message is JSON: {"number": "17.2", "ops": [...]}. Its number goes into the instance's log, then its operations
are done. What they send is a message of the same form with a number of its own, so that afterwards every message
can be accounted for.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import proa

app = proa.App()
EGRESS = "programs/records"


class Log(proa.State):
    """What an instance has handled, in order; a sum; a value too large for the instance's own record."""

    seen = proa.value(str, default="")
    total = proa.value(int, default=0)
    blob = proa.value(str, default="")


def packed(message: dict[str, Any]) -> proa.RawValue:
    """A message as it travels."""
    return proa.RawValue("proa/json", json.dumps(message).encode())


@app.function("programs/run")
async def run(ctx: proa.Context[Log], value: proa.RawValue) -> proa.RawValue:
    """Handles one program; {"look": true} only shows the log."""
    message = json.loads(value.data)
    if message.get("look"):
        shown = {"seen": ctx.state.seen.split(), "total": ctx.state.total, "blob": ctx.state.blob[:40]}
        return packed(shown)
    ctx.state.seen += message["number"] + " "
    for op in message["ops"]:
        do(ctx, op)
    return packed({"number": message["number"]})


def do(ctx: proa.Context[Log], op: dict[str, Any]) -> None:
    """Does one operation."""
    kind = op["kind"]
    if kind == "add":
        ctx.state.total += op["amount"]
    elif kind == "blob":
        ctx.state.blob = op["text"].ljust(5000)
    elif kind == "emit":
        ctx.emit(EGRESS, op["record"])
    elif kind == "send":
        ctx.send(run, id=op["to"], message=packed(op["message"]))
    elif kind == "delay":
        delay = timedelta(milliseconds=op["delay_ms"])
        ctx.send_after(delay, run, id=op["to"], message=packed(op["message"]), token=op.get("token", ""))
    elif kind == "cancel":
        ctx.cancel(op["token"])
    else:
        raise ValueError(f"no such operation: {kind}")
