// Signing in and out, and finding one's way.

import assert from "node:assert/strict";

import { signIn } from "./visit.mjs";

const table = (page) => page.getByRole("table");

export async function sessions(test, stack) {
  const { gateway, issuer } = stack;
  const nobody = { user: null };

  await test("somebody signs in", async (page) => {
    // Of one organisation: it opens by itself.
    await page.waitForURL(`${gateway}/dashboard/demo`);
    await table(page).waitFor();
    assert.equal(await page.title(), "demo · Token Warden");
  });

  await test(
    "an address leads there after signing in",
    async (page) => {
      await signIn(page, stack, "olga", "/dashboard/demo/members");
      await page.getByRole("heading", { name: "Members" }).waitFor();
      assert.equal(page.url(), `${gateway}/dashboard/demo/members`);
    },
    nobody,
  );

  await test("a reload keeps somebody signed in", async (page) => {
    await table(page).waitFor();
    await page.reload();
    await table(page).waitFor();
    assert.equal(page.url(), `${gateway}/dashboard/demo`);
  });

  await test("somebody signs out in all tabs", async (page) => {
    await table(page).waitFor();
    const other = await page.context().newPage();
    // The other tab is asked nothing.
    await other.goto(`${gateway}/dashboard/demo/members`);
    await other.getByRole("heading", { name: "Members" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    for (const tab of [page, other]) {
      await tab.waitForURL(`${gateway}/signed-out`);
      await tab.getByRole("heading", { name: "You are signed out." }).waitFor();
    }
    await page.getByRole("link", { name: "Sign in again" }).click();
    await page.waitForURL(`${issuer}/**`);
    await page.getByRole("heading", { name: "Who are you?" }).waitFor();
  });

  await test("back leads through the views", async (page) => {
    await page.getByRole("link", { name: "access-withdrawn", exact: true }).first().click();
    await page.getByRole("heading", { name: "access-withdrawn Facebook" }).waitFor();
    await page.getByRole("link", { name: "Members" }).click();
    await page.getByRole("heading", { name: "Members" }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: "access-withdrawn Facebook" }).waitFor();
    await page.goBack();
    await table(page).waitFor();
    await page.goForward();
    await page.getByRole("heading", { name: "access-withdrawn Facebook" }).waitFor();
  });

  await test(
    "an issuer that refuses is not asked for ever",
    async (page) => {
      await page.context().route(`${issuer}/**/authorize?**`, (route) => {
        const asked = new URL(route.request().url()).searchParams;
        const back = new URL(asked.get("redirect_uri"));
        back.search = new URLSearchParams({ error: "access_denied", state: asked.get("state") });
        route.fulfill({ status: 303, headers: { location: back.href } });
      });
      await page.goto(`${gateway}/dashboard/demo`);
      await page.getByRole("heading", { name: "You could not be signed in." }).waitFor();
      await page.getByText("access_denied").waitFor();
    },
    nobody,
  );

  await test(
    "somebody without an organisation",
    async (page) => {
      await page.getByRole("heading", { name: "You belong to no organisation yet." }).waitFor();
    },
    { user: "nobody" },
  );

  await test(
    "an organisation of others",
    async (page) => {
      await page.goto(`${gateway}/dashboard/demo`);
      const heading = page.getByRole("heading", {
        name: "You are not a member of this organisation.",
      });
      await heading.waitFor();
      await page.getByRole("link", { name: "Your organisations" }).click();
      await page.getByRole("heading", { name: "You belong to no organisation yet." }).waitFor();
    },
    { user: "nobody", refusals: [403] },
  );

  await test(
    "an integration that does not exist",
    async (page) => {
      await page.goto(`${gateway}/dashboard/demo/integrations/none`);
      await page.getByRole("heading", { name: "This does not exist." }).waitFor();
    },
    { refusals: [404] },
  );
}
