// A visit to the page: a browser of its own, and what must never happen in it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const OPTIONS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const TYPES = { css: "text/css", mjs: "text/javascript", svg: "image/svg+xml" };

export const launch = (executablePath) => chromium.launch({ executablePath, args: OPTIONS });

/** What the page must not do, as it happens. */
function watch(context, { gateway, issuer, platforms }, refusals) {
  const faults = [];
  context.on("console", (message) => {
    const isExpected = refusals.some((status) => message.text().includes(`status of ${status}`));
    if (["error", "warning"].includes(message.type()) && !isExpected) {
      faults.push(`console: ${message.text()}`);
    }
  });
  context.on("weberror", (error) => faults.push(`error: ${error.error()}`));
  context.on("request", (request) => {
    const { origin, pathname } = new URL(request.url());
    const isWhole = request.isNavigationRequest() && request.frame().parentFrame() === null;
    // A browser asks for the icon of a page of itself.
    const isLeft = [issuer, platforms].includes(origin) && (isWhole || pathname === "/favicon.ico");
    if (origin !== gateway && !isLeft) {
      faults.push(`request: ${request.url()}`);
    }
  });
  return faults;
}

/**
 * Opens a browser's window for somebody, runs a test in it, and looks at what happened there.
 * `refusals` are the statuses of answers that the test expects: a browser logs them.
 */
export async function visit(browser, stack, body, { user, refusals = [], ...options }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(15_000);
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  if (process.env.PAGE) {
    await context.route("**/assets/**", serve);
  }
  const faults = watch(context, stack, refusals);
  const page = await context.newPage();
  try {
    if (user) {
      await signIn(page, stack, user);
    }
    await body(page);
    assert.deepEqual(faults, []);
  } catch (error) {
    error.page = page;
    error.faults = faults;
    throw error;
  }
  await context.close();
}

function serve(route) {
  const name = new URL(route.request().url()).pathname.split("/").slice(3).join("/");
  const path = join(process.env.PAGE, name);
  route.fulfill({ path, contentType: TYPES[name.split(".").at(-1)] });
}

/** Opens an address, and chooses somebody on the issuer's page. */
export async function signIn(page, { gateway, issuer }, user, path = "/") {
  await page.goto(gateway + path);
  await page.waitForURL(`${issuer}/**`);
  await page.getByRole("button", { name: user }).click();
  await page.waitForURL((url) => url.origin === gateway && !url.searchParams.has("code"));
}

/** What keeps somebody from using what the page shows now. */
export async function barriers(page) {
  // Not as a script of the page: its policy allows none but its own.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`),
  );
}
