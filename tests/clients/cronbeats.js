// Calls CronBeats' own client as told by the JSON in the first argument, and prints what each call came to:
// {"base", "key", "calls": [["progress", 50, "half"], …]} -> [{"result"} or {"error"}, …]
import { ApiError, PingClient } from "@cronbeats/cronbeats-node";

const { base, key, calls } = JSON.parse(process.argv[2]);
const client = new PingClient(key, { baseUrl: base, maxRetries: 1, retryBackoffMs: 1, retryJitterMs: 0 });

async function call([method, ...values]) {
  try {
    return { result: await client[method](...values) };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { code, httpStatus, retryable, message } = error;
    return { error: { code, httpStatus, retryable, message } };
  }
}

const came = [];
for (const each of calls) came.push(await call(each));
console.log(JSON.stringify(came));
