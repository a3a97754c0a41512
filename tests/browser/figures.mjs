// How long the dashboard takes with many integrations: prints a table, and asserts nothing.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { start } from "./stack.mjs";
import { launch, signIn } from "./visit.mjs";

const COUNTS = [100, 1_000, 10_000];
const RUNS = 5;
/** Of these, nothing refreshes an access token alone: no sweep changes a row. */
const PLATFORMS = ["linkedin", "twitter", "google", "snapchat", "tiktok"];
const DAY = 86_400_000;

/** An export of an organisation with so many integrations. */
function records(org, count) {
  const integrations = Array.from({ length: count }, (_, index) => ({
    type: "integration",
    org_id: org,
    integration_id: `integration-${String(index).padStart(5, "0")}`,
    platform: PLATFORMS[index % PLATFORMS.length],
    username: `account ${index}`,
    account_id: String(index),
    created_by: "olga",
    access_token: `token-${index}`,
    token_expires_at: new Date(Date.now() + (1 + ((index * 7) % 120)) * DAY).toISOString(),
  }));
  return [{ type: "organization", org_id: org, name: org, owner_id: "olga" }, ...integrations];
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** The time that the page's scripts have taken until now, in milliseconds. */
async function scripts(cdp) {
  const { metrics } = await cdp.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "ScriptDuration").value * 1_000;
}

/** Opens the dashboard, and waits until the table is there: times in milliseconds. */
async function open(page, cdp, address, count) {
  const before = await scripts(cdp);
  const began = Date.now();
  await page.goto(address);
  await page.getByText(`${count} of ${count} shown`).waitFor();
  const paints = await page.evaluate(async () => {
    const last = (type) =>
      new Promise((found) => {
        const take = (list) => found(list.getEntries().at(-1).startTime);
        new PerformanceObserver(take).observe({ type, buffered: true });
      });
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const shown = performance.now();
    const [first] = performance.getEntriesByName("first-contentful-paint");
    const largest = await last("largest-contentful-paint");
    return { from: performance.timeOrigin, first: first.startTime, largest, shown };
  });
  return { ...paints, signIn: paints.from - began, scripts: (await scripts(cdp)) - before };
}

/** From a letter in the search until its rows are painted. */
async function letter(page) {
  await page.evaluate(() => {
    globalThis.letter = new Promise((done) => {
      const painted = ({ timeStamp }) =>
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - timeStamp)));
      addEventListener("input", painted, { capture: true, once: true });
    });
  });
  await page.getByLabel("Search").press("9");
  return page.evaluate(() => globalThis.letter);
}

/** Asks for all pages of the list, and again with the tags of the answers. */
async function again(list, token) {
  const ask = async (tags) => {
    const answers = [];
    let next = null;
    do {
      const index = answers.length;
      const query = new URLSearchParams({ limit: "1000", ...(next && { next }) });
      const tag = tags[index] && { "if-none-match": tags[index].tag };
      const headers = { authorization: `Bearer ${token}`, ...tag };
      const answer = await fetch(`${list}?${query}`, { headers });
      const isKnown = answer.status === 304;
      next = isKnown ? tags[index].next : (await answer.json()).next;
      answers.push({ isKnown, tag: answer.headers.get("etag"), next });
    } while (next);
    return answers;
  };
  const tags = await ask([]);
  const began = performance.now();
  const answers = await ask(tags);
  if (!answers.every(({ isKnown }) => isKnown)) {
    throw new Error("the list has changed meanwhile");
  }
  return performance.now() - began;
}

async function measure(browser, stack, count) {
  const org = `of-${count}`;
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  await signIn(page, stack, "olga");
  const cdp = await context.newCDPSession(page);
  await cdp.send("Performance.enable");
  const token = stack.token("olga");
  const runs = [];
  for (let run = 0; run < RUNS; run += 1) {
    const opened = await open(page, cdp, `${stack.gateway}/dashboard/${org}`, count);
    const typed = await letter(page);
    await page.goto("about:blank");
    const list = `${stack.gateway}/api/dashboard/${org}/integrations`;
    runs.push({ ...opened, typed, again: await again(list, token) });
  }
  await context.close();
  const names = ["signIn", "first", "largest", "shown", "scripts", "typed", "again"];
  const cells = names.map((name) => `${Math.round(median(runs.map((run) => run[name])))} ms`);
  console.log(`| ${[count.toLocaleString("en"), ...cells].join(" | ")} |`);
}

const [warden, chromium] = process.argv.slice(2);
const COLUMNS =
  "integrations | sign-in | first paint | largest paint | table shown | scripts | a letter | asked again";
// Nothing else shall happen meanwhile.
const stack = await start(warden, ["--parameter", "Schedules=DISABLED"]);
const browser = await launch(chromium);
const home = mkdtempSync(join(tmpdir(), "warden-figures-"));
try {
  console.log(`| ${COLUMNS} |\n|${"---|".repeat(COLUMNS.split("|").length)}`);
  for (const count of COUNTS) {
    const file = join(home, `${count}.jsonl`);
    const lines = records(`of-${count}`, count).map((record) => JSON.stringify(record));
    writeFileSync(file, lines.join("\n"));
    stack.run("import", file);
    await measure(browser, stack, count);
  }
} finally {
  rmSync(home, { recursive: true });
  await browser.close();
  await stack.stop();
}
