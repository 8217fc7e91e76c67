// SPDX-License-Identifier: Apache-2.0
// The interpreter of ../README.md on StateFun's JavaScript SDK, served by node's http as its documentation shows.
// The SDK is found through NODE_PATH.
"use strict";

const fs = require("fs");
const http = require("http");
const { StateFun, Message, messageBuilder, egressMessageBuilder, Address } = require("apache-flink-statefun");

const [NAME, PORT, COUNT_TYPE] = process.argv.slice(2);
const TYPES = {
  bool: StateFun.booleanType(),
  int: StateFun.intType(),
  float: StateFun.floatType(),
  string: StateFun.stringType(),
};
const PROGRAM = StateFun.jsonType("interop/program");
const SHOWN = StateFun.jsonType("interop/shown");
const SPECS = [
  { name: "count", type: TYPES[COUNT_TYPE] },
  { name: "total", type: TYPES.int },
  { name: "word", type: TYPES.string },
  { name: "blob", type: TYPES.string },
  { name: "seen", type: TYPES.string },
  { name: "flag", type: TYPES.bool },
  { name: "brief", type: TYPES.string, expireAfterWrite: 300 },
  { name: "idle", type: TYPES.string, expireAfterCall: 900 },
];

const textOf = (address) => (address ? `${address.typename}/${address.id}` : null);

function messageTo(to, valueType, value) {
  const [, namespace, name, id] = /^([^/]*)\/([^/]*)\/(.*)$/s.exec(to);
  return messageBuilder({ typename: `${namespace}/${name}`, id, value, valueType });
}

function appendSeen(context, text) {
  context.storage.seen = `${context.storage.seen ?? ""}${text} `;
}

// One message being handled.
class Task {
  constructor(context, program) {
    this.context = context;
    this.program = program;
    this.caller = textOf(context.caller);
    this.answerTo = program.reply ?? this.caller;
    this.isAnswered = false;
  }

  run() {
    const number = this.program.number ?? "";
    if (number) appendSeen(this.context, number);
    for (const op of this.program.ops ?? []) Task.operations[op.kind](this, op);
    if (!this.isAnswered && this.caller?.startsWith("proa/")) this.answer(SHOWN, { number });
  }

  answer(valueType, value) {
    this.isAnswered = true;
    if (this.answerTo) this.context.send(messageTo(this.answerTo, valueType, value));
  }

  shown() {
    const storage = this.context.storage;
    const shown = { self: textOf(this.context.self), caller: this.caller };
    for (const { name } of SPECS) shown[name] = storage[name];
    shown.blob = shown.blob?.slice(0, 40) ?? null;
    return shown;
  }

  static operations = {
    add: ({ context }, op) => (context.storage.total = (context.storage.total ?? 0) + op.amount),
    blob: ({ context }, op) => (context.storage.blob = op.text.padEnd(5000)),
    set: ({ context }, op) => (context.storage[op.state] = op.value),
    del: ({ context }, op) => (context.storage[op.state] = null),
    note: ({ context, caller }) => (context.storage.word = caller ?? "nobody"),
    emit: ({ context }, op) =>
      context.send(egressMessageBuilder({ typename: "interop/records", value: op.record, valueType: TYPES.string })),
    send: ({ context }, op) => context.send(messageTo(op.to, PROGRAM, op.message)),
    delay: ({ context }, op) => {
      const message = messageTo(op.to, PROGRAM, op.message);
      if (op.token) context.sendAfter(op.delay_ms, message, op.token);
      else context.sendAfter(op.delay_ms, message);
    },
    cancel: ({ context }, op) => context.cancelDelayedMessage(op.token),
    send_value: ({ context }, op) => context.send(messageTo(op.to, TYPES[op.type], op.value)),
    hand_on: (task, op) => {
      task.isAnswered = true;
      task.context.send(messageTo(op.to, PROGRAM, { ...op.message, reply: task.answerTo }));
    },
    reply: (task, op) => task.answer(TYPES[op.type], op.value),
    look: (task) => task.answer(SHOWN, task.shown()),
    fail: (task, op) => {
      if (!op.file || fs.existsSync(op.file)) throw new Error("told to fail");
    },
  };
}

// Puts a value that is no program into the log.
function noteValue(context, message) {
  for (const [name, type] of Object.entries(TYPES)) {
    if (message.is(type)) return appendSeen(context, `${name}:${message.as(type)}`);
  }
  return appendSeen(context, `other:${message.valueTypeName}`);
}

async function interpret(context, message) {
  if (message.is(PROGRAM)) new Task(context, message.as(PROGRAM)).run();
  else if (message.valueTypeName === "interop/passed")
    context.send(new Message(Address.fromParts("probe", "raw", NAME), message.typedValue));
  else noteValue(context, message);
}

const statefun = new StateFun();
statefun.bind({ typename: `interop/${NAME}`, fn: interpret, specs: SPECS });
statefun.bind({
  typename: "statefun.smoke.e2e/command-interpreter-fn",
  fn: (context) => {
    context.storage.state = (context.storage.state ?? 0) + 1;
  },
  specs: [{ name: "state", type: TYPES.int }],
});
http.createServer(statefun.handler()).listen(Number(PORT), "127.0.0.1");
