// Connects accounts and mends connections at the platforms' own pages.

import assert from "node:assert/strict";

import { barriers } from "./visit.mjs";

/** The simulated platforms have no icon. */
const OPTIONS = { refusals: [404] };

/** Chooses an account on the platform's page; the permissions that are named are withheld. */
async function allow(page, account, withheld = []) {
  await page.getByRole("heading", { name: /Allow Token Warden/ }).waitFor();
  const known = page.getByRole("radio", { name: account });
  if (await known.count()) {
    await known.first().check();
  } else {
    await page.getByRole("radio", { name: /Another one/ }).check();
    await page.getByRole("textbox").fill(account);
  }
  for (const scope of withheld) {
    await page.getByRole("checkbox", { name: scope, exact: true }).uncheck();
  }
  await page.getByRole("button", { name: "Allow" }).click();
}

/** Waits until it is said that the account is connected, which an address says once. */
async function connected(page) {
  await page.getByText("The account is connected.").waitFor();
  assert.doesNotMatch(page.url(), /connected/);
}

export async function consents(test, { gateway }) {
  const integration = (id) => `${gateway}/dashboard/demo/integrations/${id}`;
  const begin = async (page, id) => {
    await page.goto(`${integration(id)}/reconnect`);
    await page.getByRole("button", { name: /^Continue to/ }).click();
  };

  await test(
    "what is broken is mended in two clicks, and seen to be healthy",
    async (page) => {
      await page.goto(`${gateway}/dashboard/demo`);
      await page.getByRole("button", { name: "2 need reconnecting" }).waitFor();
      const card = page.locator("li.card", { hasText: "Snapchat" });
      await card.getByRole("link", { name: "Reconnect" }).click();
      await page.getByRole("button", { name: "Continue to Snapchat" }).click();
      await allow(page, "expired");
      await connected(page);
      await page.locator(".state.healthy").waitFor();
      await page.getByRole("link", { name: "All integrations" }).click();
      await page.getByRole("button", { name: "1 needs reconnecting" }).waitFor();
      await page.goBack();
      await page.locator(".state.healthy").waitFor();
      assert.equal(await page.getByText("The account is connected.").count(), 0);
    },
    OPTIONS,
  );

  await test(
    "another account changes nothing until somebody says so",
    async (page) => {
      await begin(page, "meta-access-withdrawn");
      await allow(page, "4711");
      await page.getByText("You connected another account.").waitFor();
      await page.getByRole("heading", { name: "Use another account?" }).waitFor();
      assert.deepEqual(await barriers(page), []);
      await page.getByRole("link", { name: "Choose again at the platform" }).click();
      await page.getByRole("button", { name: "Continue to Facebook" }).click();
      await allow(page, "4711");
      await page.getByRole("radio", { name: "4711" }).waitFor();
      await page.getByRole("button", { name: "Use this account" }).click();
      await connected(page);
    },
    OPTIONS,
  );

  await test(
    "fewer permissions need a yes",
    async (page) => {
      await page.goto(`${gateway}/dashboard/demo/connect`);
      await page.getByRole("button", { name: "LinkedIn", exact: true }).click();
      await allow(page, "816");
      await connected(page);
      await begin(page, new URL(page.url()).pathname.split("/").at(-1));
      await allow(page, "816", ["r_ads"]);
      await page.getByRole("heading", { name: "Go on with fewer permissions?" }).waitFor();
      await page.getByRole("listitem").filter({ hasText: "r_ads" }).waitFor();
      await page.getByRole("button", { name: "Go on with fewer permissions" }).click();
      await connected(page);
    },
    OPTIONS,
  );

  await test("another account that may do less is asked about as that", async (page) => {
    const question = {
      consent: "none",
      is_identified: true,
      accounts: [{ account_id: "1", username: "other" }],
      before: { account_id: "2", username: "expired" },
      missing_scopes: ["ads"],
    };
    const hash = Buffer.from(JSON.stringify(question)).toString("base64url");
    await page.goto(`${integration("snapchat-expired")}/reconnect#${hash}`);
    const title = "Use another account, with fewer permissions?";
    await page.getByRole("heading", { name: title }).waitFor();
    await page.getByRole("button", { name: "Use this account with fewer permissions" }).waitFor();
    await page.getByText("This was expired (2).").waitFor();
    assert.deepEqual(await barriers(page), []);
  });

  await test(
    "who denies it is told so",
    async (page) => {
      await begin(page, "tiktok-expiring");
      await page.getByRole("button", { name: "Deny" }).click();
      await page.getByText("was told not to connect the account").waitFor();
      await page.getByRole("button", { name: "Continue to TikTok" }).waitFor();
    },
    OPTIONS,
  );

  await test("an address without an organisation leads to connecting one's account", async (page) => {
    await page.goto(`${gateway}/connect`);
    await page.waitForURL(`${gateway}/dashboard/demo/connect`);
    await page.route("**/api/organizations", async (route) => {
      const response = await route.fetch();
      const [one] = (await response.json()).organizations;
      const others = [
        { ...one, org_id: "more", name: "More of it" },
        { ...one, org_id: "less", name: "Less of it", permissions: [] },
      ];
      await route.fulfill({ response, json: { organizations: [one, ...others] } });
    });
    await page.goto(`${gateway}/connect`);
    await page.getByRole("link", { name: /^More of it/ }).waitFor();
    assert.equal(await page.getByRole("link", { name: /^Less of it/ }).count(), 0);
    await page.getByRole("link", { name: /^Demo Agency/ }).click();
    await page.waitForURL(`${gateway}/dashboard/demo/connect`);
  });

  await test("an empty organisation leads to connecting an account", async (page) => {
    await page.route("**/api/dashboard/demo/integrations?**", (route) =>
      route.fulfill({ json: { integrations: [], next: null, unchecked_since: null } }),
    );
    await page.goto(`${gateway}/dashboard/demo`);
    await page.getByRole("link", { name: "Connect an account" }).click();
    await page.getByRole("button", { name: "LinkedIn", exact: true }).waitFor();
  });

  for (const name of [
    "Facebook",
    "Instagram",
    "TikTok",
    "TikTok Business",
    "LinkedIn",
    "X",
    "Google Ads",
    "Snapchat",
    "Threads",
  ]) {
    await test(
      `a new account is connected: ${name}`,
      async (page) => {
        await page.goto(`${gateway}/dashboard/demo`);
        await page.getByRole("link", { name: "Connect", exact: true }).click();
        await page.getByRole("button", { name, exact: true }).click();
        await allow(page, "815");
        await connected(page);
      },
      OPTIONS,
    );
  }
}
