// SPDX-License-Identifier: Apache-2.0
// Greets people and knows how often they have come: two functions on StateFun's JavaScript SDK, served by node's http.
"use strict";

const http = require("http");
const { StateFun, messageBuilder, egressMessageBuilder } = require("apache-flink-statefun");

const GREET_REQUEST = StateFun.jsonType("example/GreetRequest");
const EGRESS_RECORD = StateFun.jsonType("io.statefun.playground/EgressRecord");

// Counts the visits of one person and has the greeter greet.
async function person(context, message) {
  const visit = message.as(GREET_REQUEST);
  visit.visits = context.storage.visits = (context.storage.visits ?? 0) + 1;
  context.send(
    messageBuilder({ typename: "example/greeter", id: visit.name, value: visit, valueType: GREET_REQUEST }),
  );
}

// Finds the words and puts them into the topic `greetings`.
async function greeter(context, message) {
  const { name, visits } = message.as(GREET_REQUEST);
  const words = `Good day, ${name}!` + (visits > 1 ? ` This is visit number ${visits}.` : "");
  context.send(
    egressMessageBuilder({
      typename: "io.statefun.playground/egress",
      value: { topic: "greetings", payload: words },
      valueType: EGRESS_RECORD,
    }),
  );
}

const functions = new StateFun();
functions.bind({ typename: "example/person", fn: person, specs: [{ name: "visits", type: StateFun.intType() }] });
functions.bind({ typename: "example/greeter", fn: greeter });
http.createServer(functions.handler()).listen(8000);
