// The integrations of an organisation: which need somebody, and what can be done.

import assert from "node:assert/strict";

import { barriers } from "./visit.mjs";

const rows = (page) => page.locator("tbody tr");
const told = (page, text) => page.getByRole("status").filter({ hasText: text }).waitFor();

/** Waits until so many integrations are shown. */
const shown = (page, count) => page.getByText(`${count} of 13 shown`).waitFor();

/** The accounts of the table, in their order. */
const names = (page) => page.locator("tbody th").allTextContents();

export async function accounts(test, { gateway, platforms, token }) {
  const integration = (id) => `${gateway}/dashboard/demo/integrations/${id}`;

  await test("counts filter the table", async (page) => {
    const reconnect = page.getByRole("button", { name: "2 need reconnecting" });
    await reconnect.click();
    await shown(page, 2);
    assert.equal(await rows(page).count(), 2);
    assert.equal(await page.locator("li.card").count(), 2);
    await page.getByText("Nothing ends within 90 days.").waitFor();
    assert.match(page.url(), /\?need=reconnect$/);
    await page.reload();
    await shown(page, 2);
    assert.equal(await reconnect.getAttribute("aria-pressed"), "true");
    await reconnect.click();
    await shown(page, 13);
    assert.equal(page.url(), `${gateway}/dashboard/demo`);
  });

  await test("search, platform and order", async (page) => {
    await page.getByLabel("Search").fill("RENEW");
    await shown(page, 3);
    await page.getByRole("combobox", { name: "Platform" }).selectOption("Threads");
    await shown(page, 1);
    assert.deepEqual(await names(page), ["renews-itself"]);
    await page.getByLabel("Search").fill("nothing like it");
    await page.getByRole("heading", { name: "Nothing matches." }).waitFor();
    await page.getByRole("button", { name: "Show everything" }).click();
    await shown(page, 13);
    await page.getByLabel("Sort by").selectOption("Account");
    await page.waitForURL(/\?sort=account$/);
    const inOrder = await names(page);
    assert.deepEqual(inOrder, inOrder.toSorted());
    await page.getByLabel("Sort by").selectOption("Most urgent first");
    await page.waitForURL(`${gateway}/dashboard/demo`);
    assert.equal((await names(page))[0], "access-withdrawn");
  });

  await test("what is broken says since when", async (page) => {
    const card = page.getByRole("listitem").filter({ hasText: "application was removed" });
    await card.getByText(/^Broken since \d+ \w+ \d{4}, \d\d:\d\d$/).waitFor();
    const row = rows(page).filter({ hasText: "access-withdrawn" });
    assert.match(await row.textContent(), /Broken since/);
  });

  await test("it is said that nothing is checked any more", async (page) => {
    const late = page.getByRole("alert").filter({ hasText: "Token Warden has not checked" });
    assert.equal(await late.count(), 0);
    await page.route("**/api/dashboard/demo/integrations?**", async (route) => {
      const response = await route.fetch();
      const json = { ...(await response.json()), unchecked_since: "2026-11-27T12:03:00Z" };
      await route.fulfill({ response, json });
    });
    await page.reload();
    await late.getByText("27 Nov 2026, 12:03").waitFor();
    assert.match(await late.textContent(), /since 27 Nov .*\. Until .* Tell whoever runs it\./s);
    assert.deepEqual(await barriers(page), []);
  });

  await test("a mark of the timeline opens what ends", async (page) => {
    await page.getByRole("link", { name: /^expiring, LinkedIn, ends in 6 days/ }).click();
    await page.waitForURL(integration("linkedin-expiring"));
    await page.getByRole("heading", { name: "expiring LinkedIn" }).waitFor();
  });

  await test("an integration with its clocks and its history", async (page) => {
    await page.getByRole("rowheader", { name: "renewed-in-time" }).getByRole("link").click();
    await page.getByRole("heading", { name: "renewed-in-time Instagram" }).waitFor();
    await page.getByText("It renews itself.").waitFor();
    await page.locator(".state", { hasText: "Healthy" }).waitFor();
    const clocks = await page.locator("dl").textContent();
    for (const name of ["Access token ends", "Last success", "Next attempt"]) {
      assert.ok(clocks.includes(name), clocks);
    }
    const [entry] = await page.locator(".history li").allTextContents();
    assert.match(entry, /Renewed.*New end: .*HTTP 200/s);
    await page.getByText("0 of 200 calls used in any hour").waitFor();
    await page.getByText("0 of 50 calls used in any minute").waitFor();
  });

  await test("what is broken says why, and leads to its mending", async (page) => {
    await page.goto(integration("meta-access-withdrawn"));
    await page.getByText("Reconnect it: the application was removed from the account.").waitFor();
    await page.getByText("Refused: somebody must reconnect it").waitFor();
    await page.getByText("Code 190/458 · HTTP 400").waitFor();
    const first = page.locator(".actions > :first-child");
    assert.equal((await first.textContent()).trim(), "Reconnect");
    await first.click();
    await page.waitForURL(`${integration("meta-access-withdrawn")}/reconnect`);
  });

  await test("what the platform wants first is the first to press", async (page) => {
    const id = "google-act-first";
    const first = page.locator(".actions > :first-child");
    const card = page.locator("li.card.act");
    const open = async (words) => {
      await page.goto(integration(id));
      assert.equal((await first.textContent()).trim(), words);
    };
    // Its administrator wants a new sign-in.
    await card.getByRole("link", { name: "Reconnect" }).waitFor();
    await open("Reconnect");
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("button", { name: "Check now" }).waitFor();
    const change = (reason) =>
      page.route("**/api/dashboard/demo/integrations**", async (route) => {
        const response = await route.fetch();
        const one = { platform: "meta", platform_name: "Facebook", reason };
        const json = JSON.parse(await response.text(), (_, value) =>
          value?.integration_id === id ? { ...value, ...one } : value,
        );
        await route.fulfill({ response, json });
      });
    await change("log_in");
    await open("Open Facebook");
    assert.equal(await first.getAttribute("href"), "https://www.facebook.com/");
    await page.locator(".actions").getByRole("link", { name: "Reconnect" }).waitFor();
    await page.getByRole("link", { name: "All integrations" }).click();
    await card.getByRole("link", { name: "Open Facebook" }).waitFor();
    await change("administrator_approval");
    await open("Check now");
    await page.getByRole("link", { name: "All integrations" }).click();
    await card.getByRole("link", { name: "What to do" }).waitFor();
  });

  await test("what has lost permissions is shown, and leads to its mending", async (page) => {
    await page.getByRole("button", { name: "1 lost permissions" }).click();
    await shown(page, 1);
    assert.match(await rows(page).textContent(), /Lost permissions/);
    assert.deepEqual(await barriers(page), []);
    await page.locator("li.card.limited").getByRole("link", { name: "Reconnect" }).waitFor();
    await page.getByRole("rowheader", { name: "permission-lost" }).getByRole("link").click();
    const first = page.locator(".actions > :first-child");
    assert.equal((await first.textContent()).trim(), "Reconnect");
  });

  await test("what has happened is past, by any clock", async (page) => {
    await page.clock.install({ time: Date.now() - 30_000 });
    await page.goto(integration("threads-renews-itself"));
    await page.getByRole("button", { name: "Check now" }).click();
    await told(page, /^(?!Working).+/);
    const times = page.locator(".history time");
    await times
      .filter({ hasText: /^just now/ })
      .first()
      .waitFor();
    assert.equal(await times.filter({ hasText: /^in / }).count(), 0);
  });

  await test("an integration is checked now", async (page) => {
    await page.goto(integration("threads-renews-itself"));
    const entries = page.locator(".history li");
    const before = await entries.count();
    await page.getByRole("button", { name: "Check now" }).click();
    await told(page, /^(?!Working).+/);
    await page.waitForFunction((count) => {
      return document.querySelectorAll(".history li").length > count;
    }, before);
  });

  await test(
    "who only looks has nothing to press",
    async (page) => {
      await page.goto(integration("threads-renews-itself"));
      await page.getByText("0 of 200 calls used in any hour").waitFor();
      const somebody = page.getByText("Somebody with the permission manage_integrations");
      await somebody.waitFor();
      assert.equal(await page.getByRole("button", { name: "Check now" }).count(), 0);
      await page.goto(`${integration("snapchat-expired")}/reconnect`);
      await somebody.waitFor();
      assert.equal(await page.getByRole("button", { name: /^Continue/ }).count(), 0);
      await page.goto(`${gateway}/dashboard/demo/connect`);
      await somebody.waitFor();
      assert.equal(await page.locator("button.card").count(), 0);
      await page.getByRole("link", { name: "Demo Agency" }).click();
      await page.locator("li.card").first().waitFor();
      assert.equal(await page.getByRole("link", { name: /^(Connect|Reconnect)/ }).count(), 0);
      await page.goto(`${gateway}/connect`);
      await page.getByRole("heading", { name: "You can connect no account." }).waitFor();
      await page.goto(`${gateway}/dashboard/demo`);
      await page.getByRole("link", { name: "Members" }).click();
      await page.getByRole("heading", { name: "Members" }).waitFor();
      await page.locator("fieldset:disabled").first().waitFor();
      assert.equal(await page.getByRole("button", { name: /Remove|Add/ }).count(), 0);
    },
    { user: "mia" },
  );

  await test("a quota is used up, and reset after a question", async (page) => {
    const permits = `${gateway}/api/platforms/threads/demo/threads-renews-itself/permits`;
    const headers = { authorization: `Bearer ${token("crm")}` };
    const take = async () => (await fetch(permits, { method: "POST", headers })).status;
    await page.goto(integration("threads-renews-itself"));
    const bar = (words) => page.locator("label", { hasText: words });
    const unused = bar("0 of 200 calls used in any hour");
    assert.equal(await unused.locator("meter").evaluate((meter) => meter.value), 0);
    for (let taken = 0; taken < 50; taken += 1) {
      assert.equal(await take(), 200);
    }
    assert.equal(await take(), 429);
    // As if somebody came back to the tab: the page asks again.
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    const used = bar("50 of 200 calls used in any hour");
    await used.getByText(/^More free in (1 hour|\d+ minutes)$/).waitFor();
    assert.equal(await used.locator("meter").evaluate((meter) => meter.value), 50);
    const burst = bar("50 of 50 calls used in any minute");
    await burst.getByText(/^More free in (1|less than a) minute$/).waitFor();
    assert.equal(await burst.locator("meter").evaluate((meter) => meter.value), 50);
    const more = page.getByRole("button", { name: "More" });
    await more.click();
    await page.getByRole("button", { name: "Reset quota…" }).click();
    const question = page.getByRole("dialog", { name: "Reset its quota?" });
    await question.getByRole("button", { name: "Leave it" }).click();
    await question.waitFor({ state: "hidden" });
    await page.waitForFunction(() => document.activeElement?.textContent === "More");
    await more.click();
    await page.getByRole("button", { name: "Reset quota…" }).click();
    await question.getByRole("button", { name: "Reset quota" }).click();
    await told(page, "Its quota is whole again.");
    await page.getByText("Quota reset by olga").first().waitFor();
    await unused.waitFor();
    await bar("0 of 50 calls used in any minute").waitFor();
  });

  await test("a platform asks to wait, and the quota says how long", async (page) => {
    const script = { on: "call", times: 1, do: { throttle: { retry_after: 60 } } };
    await fetch(`${platforms}/control`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ platform: "meta", ...script }),
    });
    const headers = { authorization: `Bearer ${token("crm")}` };
    await fetch(`${gateway}/api/platforms/meta/demo/meta-renews-itself/proxy/me`, { headers });
    await page.goto(integration("meta-renews-itself"));
    await page.getByText(/^The platform asks us to wait: calls go on in .+\.$/).waitFor();
    await page.getByText("of 200 calls used in any hour").waitFor();
  });

  await test("an account is disconnected after a question", async (page) => {
    await page.goto(integration("threads-renews-itself"));
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("button", { name: "Disconnect…" }).click();
    const question = page.getByRole("dialog", { name: "Disconnect this account?" });
    await question.getByRole("button", { name: "Disconnect" }).click();
    await told(page, "It is disconnected.");
    await page.getByText("Disconnected by olga").waitFor();
    assert.doesNotMatch(await page.locator("dl").textContent(), /ends|Reconnect by/);
    await page.getByRole("link", { name: "Connect again" }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Check now" }).count(), 0);
    await page.getByRole("link", { name: "All integrations" }).click();
    await page.getByRole("button", { name: "2 disconnected" }).waitFor();
  });
}
