// Calls the client of durable-functions: one call a line on stdin, its outcome as one line on stdout.
// The first line is the text of a client binding. A call is {"method", "arguments"}; what JSON has no value for is
// {"$date": ISO time}, {"$entity": [name, key]} or {"$undefined": true}. An outcome is {"value"} or {"error": message}.
"use strict";

const df = require("durable-functions");
const { HttpResponse } = require("@azure/functions");
const readline = require("node:readline");

function revived(_, value) {
  if (value && typeof value === "object") {
    if ("$date" in value) return new Date(value.$date);
    if ("$entity" in value) return new df.EntityId(...value.$entity);
  }
  return value;
}

function clientOf(binding) {
  const input = df.input.durableClient();
  return df.getClient({
    options: { extraInputs: [input] },
    extraInputs: { get: (asked) => (asked === input ? JSON.parse(binding) : undefined) },
  });
}

async function shown(value) {
  if (!(value instanceof HttpResponse)) return value;
  const headers = Object.fromEntries(value.headers.entries());
  return { status: value.status, headers, body: await value.json() };
}

async function outcome(client, line) {
  const call = JSON.parse(line, revived);
  const given = call.arguments.map((value) => (value && value.$undefined ? undefined : value));
  try {
    return { value: await shown(await client[call.method](...given)) };
  } catch (error) {
    return { error: error.message };
  }
}

async function main() {
  let client;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (client === undefined) {
      client = clientOf(line);
    } else {
      process.stdout.write(`${JSON.stringify(await outcome(client, line))}\n`);
    }
  }
}

main();
