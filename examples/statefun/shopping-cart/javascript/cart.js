// SPDX-License-Identifier: Apache-2.0
// Carts and the stock they are filled from: two functions on StateFun's JavaScript SDK, served by node's http.
// What is in a cart has left the stock, and what is in neither was bought: whatever fails, nothing is sold twice.
"use strict";

const http = require("http");
const { StateFun, messageBuilder, egressMessageBuilder } = require("apache-flink-statefun");

const ADD_TO_CART = StateFun.jsonType("com.example/AddToCart");
const CHECKOUT = StateFun.jsonType("com.example/Checkout");
const CLEAR_CART = StateFun.jsonType("com.example/ClearCart");
const RESTOCK_ITEM = StateFun.jsonType("com.example/RestockItem");
const REQUEST_ITEM = StateFun.jsonType("com.example/RequestItem");
const ITEM_AVAILABILITY = StateFun.jsonType("com.example/ItemAvailability");
const BASKET = StateFun.jsonType("com.example/Basket");
const EGRESS_RECORD = StateFun.jsonType("io.statefun.playground/EgressRecord");
const STOCK = "com.example/stock";

function send(context, typename, id, valueType, value) {
  context.send(messageBuilder({ typename, id, value, valueType }));
}

// How much there is of one item: its id is the item's.
async function stock(context, message) {
  const left = context.storage.stock ?? 0;
  if (message.is(RESTOCK_ITEM)) {
    context.storage.stock = left + message.as(RESTOCK_ITEM).quantity;
  } else if (message.is(REQUEST_ITEM)) {
    const { quantity } = message.as(REQUEST_ITEM);
    const status = quantity <= left ? "INSTOCK" : "OUTOFSTOCK";
    if (status === "INSTOCK") {
      context.storage.stock = left - quantity;
    }
    send(context, context.caller.typename, context.caller.id, ITEM_AVAILABILITY, { status, quantity });
  }
}

function buy(context, items) {
  const details = Object.keys(items)
    .sort()
    .map((item) => `${item}: ${items[item]}`)
    .join(", ");
  const payload = JSON.stringify({ userId: context.self.id, details });
  context.send(
    egressMessageBuilder({
      typename: "io.statefun.playground/egress",
      value: { topic: "receipts", payload },
      valueType: EGRESS_RECORD,
    }),
  );
  context.storage.basket = null;
}

// What one user has in the cart: its id is the user's.
async function cart(context, message) {
  const items = (context.storage.basket ?? { basket: {} }).basket;
  if (message.is(ADD_TO_CART)) {
    const { itemId, quantity } = message.as(ADD_TO_CART);
    send(context, STOCK, itemId, REQUEST_ITEM, { quantity });
  } else if (message.is(ITEM_AVAILABILITY)) {
    const { status, quantity } = message.as(ITEM_AVAILABILITY);
    if (status === "INSTOCK") {
      const item = context.caller.id;
      context.storage.basket = { basket: { ...items, [item]: (items[item] ?? 0) + quantity } };
    }
  } else if (message.is(CLEAR_CART)) {
    for (const [itemId, quantity] of Object.entries(items)) {
      send(context, STOCK, itemId, RESTOCK_ITEM, { itemId, quantity });
    }
    context.storage.basket = null;
  } else if (message.is(CHECKOUT) && Object.keys(items).length > 0) {
    buy(context, items);
  }
}

const functions = new StateFun();
functions.bind({ typename: STOCK, fn: stock, specs: [{ name: "stock", type: StateFun.intType() }] });
functions.bind({
  typename: "com.example/user-shopping-cart",
  fn: cart,
  specs: [{ name: "basket", type: BASKET }],
});
http.createServer(functions.handler()).listen(1108);
