# SPDX-License-Identifier: Apache-2.0
"""Carts and the stock they are filled from: two functions on StateFun's Python SDK, served by aiohttp.

What is in a cart has left the stock, and what is in neither was bought: whatever fails, nothing is sold twice.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from statefun import (
    Context,
    IntType,
    Message,
    RequestReplyHandler,
    StatefulFunctions,
    Type,
    ValueSpec,
    egress_message_builder,
    make_json_type,
    message_builder,
)

ADD_TO_CART = make_json_type("com.example/AddToCart")
CHECKOUT = make_json_type("com.example/Checkout")
CLEAR_CART = make_json_type("com.example/ClearCart")
RESTOCK_ITEM = make_json_type("com.example/RestockItem")
REQUEST_ITEM = make_json_type("com.example/RequestItem")
ITEM_AVAILABILITY = make_json_type("com.example/ItemAvailability")
BASKET = make_json_type("com.example/Basket")
EGRESS_RECORD = make_json_type("io.statefun.playground/EgressRecord")

functions = StatefulFunctions()
handler = RequestReplyHandler(functions)


def send(context: Context, typename: str, id: str, value_type: Type, value: dict[str, Any]) -> None:
    """Sends a message to one cart or one item of the stock."""
    context.send(message_builder(target_typename=typename, target_id=id, value=value, value_type=value_type))


@functions.bind("com.example/stock", specs=[ValueSpec("stock", IntType)])
async def stock(context: Context, message: Message) -> None:
    """How much there is of one item: its id is the item's."""
    left = context.storage.stock or 0
    if message.is_type(RESTOCK_ITEM):
        context.storage.stock = left + message.as_type(RESTOCK_ITEM)["quantity"]
    elif message.is_type(REQUEST_ITEM):
        quantity = message.as_type(REQUEST_ITEM)["quantity"]
        status = "INSTOCK" if quantity <= left else "OUTOFSTOCK"
        if status == "INSTOCK":
            context.storage.stock = left - quantity
        answer = {"status": status, "quantity": quantity}
        send(context, context.caller.typename, context.caller.id, ITEM_AVAILABILITY, answer)


@functions.bind("com.example/user-shopping-cart", specs=[ValueSpec("basket", BASKET)])
async def cart(context: Context, message: Message) -> None:
    """What one user has in the cart: its id is the user's."""
    items = (context.storage.basket or {"basket": {}})["basket"]
    if message.is_type(ADD_TO_CART):
        wanted = message.as_type(ADD_TO_CART)
        send(context, "com.example/stock", wanted["itemId"], REQUEST_ITEM, {"quantity": wanted["quantity"]})
    elif message.is_type(ITEM_AVAILABILITY):
        answer = message.as_type(ITEM_AVAILABILITY)
        if answer["status"] == "INSTOCK":
            item = context.caller.id
            items[item] = items.get(item, 0) + answer["quantity"]
            context.storage.basket = {"basket": items}
    elif message.is_type(CLEAR_CART):
        for item, quantity in items.items():
            send(context, "com.example/stock", item, RESTOCK_ITEM, {"itemId": item, "quantity": quantity})
        del context.storage.basket
    elif message.is_type(CHECKOUT) and items:
        details = ", ".join(f"{item}: {quantity}" for item, quantity in sorted(items.items()))
        receipt = json.dumps({"userId": context.address.id, "details": details}, separators=(",", ":"))
        context.send_egress(
            egress_message_builder(
                target_typename="io.statefun.playground/egress",
                value={"topic": "receipts", "payload": receipt},
                value_type=EGRESS_RECORD,
            )
        )
        del context.storage.basket


async def answer_call(request: web.Request) -> web.Response:
    """One call of the host. What a function raises becomes a status of 500, which the host expects."""
    body = await handler.handle_async(await request.read())
    return web.Response(body=body, content_type="application/octet-stream")


app = web.Application()
app.add_routes([web.post("/", answer_call)])

if __name__ == "__main__":
    web.run_app(app, port=1108, print=None)
