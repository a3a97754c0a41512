// Ten thousand integrations: no more are drawn than fit, and the page stays quick.

import assert from "node:assert/strict";

const COUNT = 10_000;
const PAGE = 1_000;
const DAY = 86_400_000;
const PLATFORMS = { meta: "Facebook", google: "Google Ads", twitter: "X" };
const STATUSES = ["healthy", "healthy", "healthy", "expiring", "broken", "failing"];

function one(index) {
  const id = `integration-${String(index).padStart(5, "0")}`;
  const [platform, platform_name] = Object.entries(PLATFORMS)[index % 3];
  const at = (days) => new Date(Date.now() + days * DAY).toISOString();
  const status = STATUSES[index % STATUSES.length];
  const url = `/dashboard/demo/integrations/${id}`;
  return {
    integration_id: id,
    platform,
    platform_name,
    username: `account ${index}`,
    account_id: String(index),
    created_by: "ian",
    status,
    state: status === "broken" ? "reconnect_required" : "active",
    since: status === "broken" ? at(-3) : null,
    message: "It is one of many.",
    reconnect_by: at((index * 7) % 90),
    missing_scopes: [],
    renewed_at: at(-1),
    next_attempt_at: at(1),
    url,
    reconnect_url: `${url}/reconnect`,
  };
}

const all = Array.from({ length: COUNT }, (_, index) => one(index));

function answer(route) {
  const from = Number(new URL(route.request().url()).searchParams.get("next") ?? 0);
  const to = from + PAGE;
  const next = to < COUNT ? String(to) : null;
  route.fulfill({ json: { integrations: all.slice(from, to), next } });
}

/** How long the page's own thread was busy while something happened, in milliseconds at most. */
async function longest(page, body) {
  await page.evaluate(() => {
    globalThis.longest = 0;
    globalThis.observer = new PerformanceObserver((list) => {
      const lengths = list.getEntries().map((entry) => entry.duration);
      globalThis.longest = Math.max(globalThis.longest, ...lengths);
    });
    globalThis.observer.observe({ type: "longtask" });
  });
  await body();
  return page.evaluate(async () => {
    // An entry comes after the frame that it is about.
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    globalThis.observer.disconnect();
    return globalThis.longest;
  });
}

export async function many(test, { gateway }) {
  await test(
    "ten thousand integrations",
    async (page) => {
      await page.route("**/api/dashboard/demo/integrations?**", answer);
      await page.goto(`${gateway}/dashboard/demo`);
      await page.getByText("10000 of 10000 shown").waitFor();
      const drawn = () => page.evaluate(() => document.querySelectorAll("*").length);
      assert.ok((await drawn()) < 3_000, `${await drawn()} elements`);

      const typing = await longest(page, async () => {
        await page.getByLabel("Search").pressSequentially("account 99");
        await page.getByText("111 of 10000 shown").waitFor();
        await page.getByLabel("Search").fill("");
        await page.getByText("10000 of 10000 shown").waitFor();
      });
      const scrolling = await longest(page, async () => {
        for (let step = 0; step < 10; step += 1) {
          await page.evaluate(
            (to) => scrollTo(0, to * document.body.scrollHeight),
            (step + 1) / 10,
          );
          await page.evaluate(() => new Promise(requestAnimationFrame));
        }
        await page.locator(`tr[aria-rowindex="${COUNT + 1}"]`).waitFor();
      });
      console.log(`  busy at most ${typing} ms while typing, ${scrolling} ms while scrolling`);
      // Half a second is far above what it takes, and below what drawing them all does.
      assert.ok(Math.max(typing, scrolling) < 500);

      // Back is where one was, once the list is there again.
      await page.evaluate(() => scrollTo(0, document.body.scrollHeight / 2));
      const row = page.locator(`tr[aria-rowindex="${COUNT / 2}"] a`);
      await row.evaluate((link) => link.scrollIntoView({ block: "center" }));
      const depth = await page.evaluate(() => scrollY);
      await row.click();
      await page.getByRole("heading", { name: "This does not exist." }).waitFor();
      await page.goBack();
      await page.waitForFunction((before) => Math.abs(scrollY - before) < 2, depth);
      await row.waitFor();
      await page.goForward();
      await page.getByRole("heading", { name: "This does not exist." }).waitFor();
      await page.goBack();
      await page.waitForFunction((before) => Math.abs(scrollY - before) < 2, depth);

      await page
        .getByRole("link", { name: /^\d+ accounts, Facebook/ })
        .first()
        .click();
      await page.getByText("3334 of 10000 shown").waitFor();
      assert.match(page.url(), /\?platform=meta&sort=ends#table$/);
    },
    { refusals: [404] },
  );
}
