// Uses the dashboard's page as people do, in a browser.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { accounts } from "./accounts.mjs";
import { consents } from "./consents.mjs";
import { barriersOfViews, keyboard, longNames, narrow } from "./everybody.mjs";
import { otherIssuer } from "./issuer.mjs";
import { many } from "./many.mjs";
import { people } from "./people.mjs";
import { sessions } from "./sessions.mjs";
import { start } from "./stack.mjs";
import { launch, visit } from "./visit.mjs";

const [warden, chromium, shots, provider] = process.argv.slice(2);
rmSync(shots, { recursive: true, force: true });
mkdirSync(shots, { recursive: true });

const stack = await start(warden);
const browser = await launch(chromium);
let passed = 0;
let failed = 0;

/** Runs one test in a window of its own, signed in as olga unless it says otherwise. */
async function test(name, body, { stack: of = stack, ...options } = {}) {
  const path = join(shots, `${name.replaceAll(/[^a-z0-9]+/g, "-")}.png`);
  const run = async (page) => {
    await body(page);
    await page.screenshot({ path });
  };
  try {
    await visit(browser, of, run, { user: "olga", ...options });
    passed += 1;
    console.log(`${name}: ok`);
  } catch (error) {
    failed += 1;
    console.error(`${name}: failed`, error.stack, error.faults);
    await error.page?.screenshot({ path });
    await error.page?.context().close();
  }
}

try {
  for (const part of [
    sessions,
    accounts,
    people,
    narrow,
    longNames,
    keyboard,
    barriersOfViews,
    many,
    consents,
  ]) {
    await part(test, stack);
  }
  await otherIssuer(test, { warden, home: provider });
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed && 1;
} finally {
  await browser.close();
  await stack.stop();
}
