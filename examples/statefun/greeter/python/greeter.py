# SPDX-License-Identifier: Apache-2.0
"""Greets people and knows how often they have come: two functions on StateFun's Python SDK, served by aiohttp."""

from __future__ import annotations

from aiohttp import web
from statefun import (
    Context,
    IntType,
    Message,
    RequestReplyHandler,
    StatefulFunctions,
    ValueSpec,
    egress_message_builder,
    make_json_type,
    message_builder,
)

GREET_REQUEST = make_json_type("example/GreetRequest")
EGRESS_RECORD = make_json_type("io.statefun.playground/EgressRecord")

functions = StatefulFunctions()
handler = RequestReplyHandler(functions)


@functions.bind("example/person", specs=[ValueSpec("visits", IntType)])
async def person(context: Context, message: Message) -> None:
    """Counts the visits of one person and has the greeter greet."""
    visit = message.as_type(GREET_REQUEST)
    visit["visits"] = context.storage.visits = (context.storage.visits or 0) + 1
    context.send(
        message_builder(
            target_typename="example/greeter", target_id=visit["name"], value=visit, value_type=GREET_REQUEST
        )
    )


@functions.bind("example/greeter")
async def greeter(context: Context, message: Message) -> None:
    """Finds the words and puts them into the topic `greetings`."""
    visit = message.as_type(GREET_REQUEST)
    words = f"Good day, {visit['name']}!"
    if visit["visits"] > 1:
        words += f" This is visit number {visit['visits']}."
    context.send_egress(
        egress_message_builder(
            target_typename="io.statefun.playground/egress",
            value={"topic": "greetings", "payload": words},
            value_type=EGRESS_RECORD,
        )
    )


async def answer(request: web.Request) -> web.Response:
    """One call of the host. What a function raises becomes a status of 500, which the host expects."""
    body = await handler.handle_async(await request.read())
    return web.Response(body=body, content_type="application/octet-stream")


app = web.Application()
app.add_routes([web.post("/statefun", answer)])

if __name__ == "__main__":
    web.run_app(app, port=8000, print=None)
