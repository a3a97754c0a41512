// One cell of the benchmark for rate-limiter-flexible's DynamoDB backend: as
// tests/benches/quota/contender.rs does for ours. Takes the cell as JSON, says
// "ready", waits for a line, and answers with the result as JSON.

import { createInterface } from "node:readline";
import { DynamoDB } from "@aws-sdk/client-dynamodb";
import { RateLimiterDynamo } from "rate-limiter-flexible";

const cell = JSON.parse(process.argv[2]);

const client = new DynamoDB({
  endpoint: cell.endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "local", secretAccessKey: "local" },
  // The default of 50 would hold back 64 callers.
  requestHandler: { httpAgent: { keepAlive: true, maxSockets: 256 } },
});

const limiter = await new Promise((resolve, reject) => {
  const made = new RateLimiterDynamo(
    {
      storeClient: client,
      tableName: cell.table,
      points: cell.limit,
      duration: cell.period,
      // Its own option to repeat refusals without a call.
      inMemoryBlockOnConsumed: cell.remembers ? cell.limit : undefined,
    },
    (error) => (error ? reject(error) : resolve(made)),
  );
});

const keys = Array.from({ length: cell.keys }, (_, n) => `${cell.name}-${n}`);
const result = { decisions: 0, errors: 0, grants: keys.map(() => []) };
const latencies = [];

async function decide(n) {
  const began = performance.now();
  try {
    await limiter.consume(keys[n], 1);
    result.grants[n].push(Date.now());
  } catch (refused) {
    // A refusal is a value with what is left; anything else is an error.
    if (refused instanceof Error) {
      result.errors += 1;
      return;
    }
  }
  latencies.push(performance.now() - began);
  result.decisions += 1;
}

async function hammer(seconds) {
  const end = performance.now() + seconds * 1000;
  const caller = async () => {
    while (performance.now() < end) {
      await decide(Math.floor(Math.random() * keys.length));
      // Refusals from memory must not keep the others from their turn.
      if (cell.remembers) await new Promise(setImmediate);
    }
  };
  await Promise.all(Array.from({ length: cell.callers }, caller));
}

// Integrations, and code that is warm, are not what is measured.
const warm = cell.callers * 4;
await Promise.all(
  Array.from({ length: warm }, (_, n) => limiter.consume(`${cell.name}-warm-${n}`, 1)),
);

const lines = createInterface({ input: process.stdin });
console.log("ready");
await new Promise((resolve) => lines.once("line", resolve));
lines.close();

const began = performance.now();
if (cell.edge) {
  await decide(0);
  await new Promise((resolve) => setTimeout(resolve, cell.period * 1000 - 500));
  await hammer(1.5);
} else {
  await hammer(cell.seconds);
}
result.seconds = (performance.now() - began) / 1000;
latencies.sort((a, b) => a - b);
const at = (share) => latencies[Math.floor((latencies.length - 1) * share)] ?? 0;
result.p50 = at(0.5);
result.p99 = at(0.99);
console.log(JSON.stringify(result));
process.exit(0);
