// Whether everybody can use the page: on a small screen, with a keyboard alone, with what reads
// it out, in light and dark.

import assert from "node:assert/strict";

import { barriers } from "./visit.mjs";

/** Addresses, each with what shows that its view is there. */
const VIEWS = {
  "dashboard/demo": "table",
  "dashboard/demo?text=nothing+like+it": ".empty",
  "dashboard/demo/integrations/meta-access-withdrawn": "meter",
  "dashboard/demo/integrations/google-act-first": "meter",
  "dashboard/demo/integrations/instagram-renewed-in-time": "meter",
  "dashboard/demo/integrations/snapchat-expired/reconnect": "button.button",
  "dashboard/demo/integrations/snapchat-expired/reconnect?refused=denied": ".notice.failed",
  "dashboard/demo/connect": "button.card",
  "connect?refused=unknown": ".failure",
  "dashboard/demo/members": "fieldset",
  "dashboard/demo/notifications": ".notices li",
  docs: "article h3",
  "signed-out": "h1",
};

async function open(page, gateway, path) {
  await page.goto(`${gateway}/${path}`);
  await page.locator(VIEWS[path]).first().waitFor();
}

export async function narrow(test, { gateway }) {
  for (const path of Object.keys(VIEWS)) {
    await test(
      `narrow: ${path}`,
      async (page) => {
        await open(page, gateway, path);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
      },
      { viewport: { width: 360, height: 740 } },
    );
  }
}

/** Gives everything in an answer that has a name a long one. */
const lengthen = async (route) => {
  const response = await route.fetch();
  const long = { username: "u".repeat(512), account_id: "9".repeat(512), name: "n".repeat(120) };
  const json = JSON.parse(await response.text(), (name, value) => long[name] ?? value);
  await route.fulfill({ response, json });
};

export async function longNames(test, { gateway }) {
  const width = (page) => page.evaluate(() => document.documentElement.scrollWidth);
  for (const path of Object.keys(VIEWS).filter((path) => path.startsWith("dashboard"))) {
    await test(
      `long names: ${path}`,
      async (page) => {
        await page.route(/\/api\/(organizations|dashboard)/, lengthen);
        await open(page, gateway, path);
        assert.equal(await width(page), 360);
      },
      { viewport: { width: 360, height: 740 } },
    );
  }

  await test(
    "narrow: the state is in view",
    async (page) => {
      await page.route(/\/api\/dashboard/, lengthen);
      await open(page, gateway, "dashboard/demo");
      const right = (of) => of.map((cell) => cell.getBoundingClientRect().right);
      const states = await page.locator("tbody td:nth-child(2)").evaluateAll(right);
      assert.ok(Math.max(...states) <= 360, `${states}`);
    },
    { viewport: { width: 360, height: 740 } },
  );
}

/** Presses Tab until something has the focus. */
async function tabTo(page, isIt) {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(isIt)) {
      return;
    }
  }
  throw new Error("Tab does not lead there");
}

export async function keyboard(test, { gateway }) {
  await test("with the keyboard alone", async (page) => {
    await page.getByRole("table").waitFor();
    await tabTo(page, () => document.activeElement?.matches(".card h3 a"));
    const outline = await page.evaluate(
      () => getComputedStyle(document.activeElement).outlineStyle,
    );
    assert.equal(outline, "solid");
    await page.keyboard.press("Enter");
    await page.waitForURL(`${gateway}/dashboard/demo/integrations/meta-access-withdrawn`);
    await page.getByRole("button", { name: "More" }).waitFor();
    // What was chosen is where the next Tab begins.
    assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
    await tabTo(page, () => document.activeElement?.textContent === "More");
    await page.keyboard.press("Enter");
    await tabTo(page, () => document.activeElement?.textContent === "Disconnect…");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.waitForFunction(() => document.activeElement?.textContent === "More");
  });
}

export async function barriersOfViews(test, { gateway }) {
  for (const colorScheme of ["light", "dark"]) {
    for (const path of Object.keys(VIEWS)) {
      await test(
        `no barriers, ${colorScheme}: ${path}`,
        async (page) => {
          await open(page, gateway, path);
          assert.deepEqual(await barriers(page), []);
        },
        { colorScheme },
      );
    }
    await test(
      `no barriers, ${colorScheme}: a question`,
      async (page) => {
        await open(page, gateway, "dashboard/demo/integrations/meta-access-withdrawn");
        await page.getByRole("button", { name: "More" }).click();
        assert.deepEqual(await barriers(page), []);
        await page.getByRole("button", { name: "Disconnect…" }).click();
        await page.getByRole("dialog").waitFor();
        assert.deepEqual(await barriers(page), []);
      },
      { colorScheme },
    );
    await test(
      `no barriers, ${colorScheme}: no organisation, and another's`,
      async (page) => {
        await page.getByRole("heading", { name: "You belong to no organisation yet." }).waitFor();
        assert.deepEqual(await barriers(page), []);
        await page.goto(`${gateway}/dashboard/demo`);
        await page.getByRole("alert").waitFor();
        assert.deepEqual(await barriers(page), []);
      },
      { user: "nobody", refusals: [403], colorScheme },
    );
  }
}
