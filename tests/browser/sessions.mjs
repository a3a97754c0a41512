// Signing in and out, and finding one's way.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { signIn } from "./visit.mjs";

const table = (page) => page.getByRole("table");

/** Lets the page's access token end now, and with it what would renew it if nothing may. */
async function end(page, { isRenewable }) {
  let ended = null;
  await page.route("**/api/**", (route) => {
    const headers = route.request().headers();
    ended ??= headers.authorization;
    const authorization = headers.authorization === ended ? "Bearer ended" : headers.authorization;
    return route.continue({ headers: { ...headers, authorization } });
  });
  await page.route("**/sign-in/token", (route) => {
    const form = new URLSearchParams(route.request().postData() ?? "");
    if (form.get("grant_type") === "refresh_token" && !isRenewable) {
      form.set("refresh_token", "ended");
    }
    return route.continue({ postData: form.toString() });
  });
}

/** Sessions that end while somebody is in the middle of something. */
async function endings(test, { gateway, issuer }) {
  const integration = `${gateway}/dashboard/demo/integrations/threads-renews-itself`;
  const reset = (page) => page.getByRole("dialog").getByRole("button", { name: "Reset quota" });
  /** Opens an integration, and the question before its quota is reset. */
  const ask = async (page) => {
    await page.goto(integration);
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("button", { name: "Reset quota…" }).click();
    await reset(page).waitFor();
    await page.evaluate(() => (globalThis.isSameDocument = true));
  };
  const isSameDocument = (page) => page.evaluate(() => globalThis.isSameDocument === true);

  await test(
    "a token that ends during a question is renewed without a word",
    async (page) => {
      await ask(page);
      await end(page, { isRenewable: true });
      await reset(page).click();
      await page.getByText("Its quota is whole again.").waitFor();
      assert.equal(await page.evaluate(() => sessionStorage.getItem("warden.dropped")), null);
      assert.ok(await isSameDocument(page));
    },
    { refusals: [401] },
  );

  await test(
    "a session that ends during a question leads back to the same place",
    async (page) => {
      await ask(page);
      const before = await page.locator(".history li").count();
      await end(page, { isRenewable: false });
      const back = page.waitForURL((url) => url.searchParams.has("code"));
      await reset(page).click();
      // The issuer knows the browser, and asks nothing.
      await back;
      await page.waitForURL(integration);
      await page.getByRole("button", { name: "Check now" }).waitFor();
      assert.ok(!(await isSameDocument(page)));
      const lost = page.getByText("What you pressed was not done: press it once more.");
      await lost.waitFor();
      assert.equal(await page.locator(".history li").count(), before);
      await page.reload();
      await page.getByRole("button", { name: "Check now" }).waitFor();
      assert.equal(await lost.count(), 0);
    },
    { refusals: [400, 401] },
  );

  await test(
    "an issuer that does not answer takes nobody away",
    async (page) => {
      await ask(page);
      await end(page, { isRenewable: true });
      const detail = "The identity provider does not answer. Please try again.";
      await page.route("**/sign-in/token", (route) =>
        route.fulfill({ status: 503, json: { detail } }),
      );
      await reset(page).click();
      await page.getByText(`That did not work. ${detail}`).waitFor();
      await page.unroute("**/sign-in/token");
      await page.getByRole("button", { name: "Check now" }).click();
      await page.locator(".notice.failed").waitFor({ state: "detached" });
      assert.ok(await isSameDocument(page));
    },
    { refusals: [401, 503] },
  );

  await test(
    "who must sign in again comes back to the same place",
    async (page) => {
      const place = `${gateway}/dashboard/demo/integrations/snapchat-expired/reconnect?refused=denied`;
      await page.goto(place);
      const onwards = page.getByRole("button", { name: "Continue to Snapchat" });
      await onwards.waitFor();
      await page.context().clearCookies();
      await end(page, { isRenewable: false });
      await onwards.click();
      await page.waitForURL(`${issuer}/**`);
      await page.getByRole("button", { name: "olga" }).click();
      await page.waitForURL(place);
      await page.getByText("was told not to connect the account").waitFor();
      await page.getByText("What you pressed was not done: press it once more.").waitFor();
      await onwards.click();
      await page.getByRole("heading", { name: /Allow Token Warden/ }).waitFor();
    },
    { refusals: [400, 401, 404] },
  );
}

export async function sessions(test, stack) {
  const { gateway, issuer } = stack;
  const nobody = { user: null };

  await test("somebody signs in", async (page) => {
    // Of one organisation: it opens by itself.
    await page.waitForURL(`${gateway}/dashboard/demo`);
    await table(page).waitFor();
    await page.getByRole("heading", { name: "Demo Agency" }).waitFor();
    assert.equal(await page.title(), "Demo Agency · Token Warden");
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

  await test(
    "somebody signs out although the issuer does not answer",
    async (page) => {
      await table(page).waitFor();
      const detail = "The identity provider does not answer. Please try again.";
      await page.route("**/sign-in", (route) => route.fulfill({ status: 503, json: { detail } }));
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.waitForURL(`${gateway}/signed-out`);
      await page.getByRole("heading", { name: "You are signed out." }).waitFor();
    },
    { refusals: [503] },
  );

  await test(
    "an issuer that does not answer while somebody signs in loses nobody's way",
    async (page) => {
      await table(page).waitFor();
      const detail = "The identity provider does not answer. Please try again.";
      await page
        .context()
        .route("**/sign-in/token", (route) => route.fulfill({ status: 503, json: { detail } }));
      const place = `${gateway}/dashboard/demo/members`;
      await page.goto(place);
      await page.getByText(detail).waitFor();
      assert.equal(page.url(), place);
      await page.context().unroute("**/sign-in/token");
      await page.getByRole("button", { name: "Try again" }).click();
      await page.getByRole("heading", { name: "Members" }).waitFor();
      assert.equal(page.url(), place);
    },
    { refusals: [503] },
  );

  await test("the API is described, and its description can be taken along", async (page) => {
    await page.getByRole("link", { name: "API" }).click();
    await page.getByRole("heading", { name: "Token Warden's HTTP API" }).waitFor();
    await page.getByRole("link", { name: "GET /docs" }).click();
    await page.waitForURL(`${gateway}/docs#showDocs`);
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "OpenAPI 3.1" }).click();
    const path = await (await download).path();
    assert.equal(JSON.parse(readFileSync(path, "utf8")).info.title, "Token Warden");
    assert.equal(page.url(), `${gateway}/docs#showDocs`);
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

  await endings(test, stack);

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

  for (const id of ["none", "expiring-tokens", "expiring-tokens/reconnect"]) {
    await test(
      `an integration that does not exist: ${id}`,
      async (page) => {
        await page.goto(`${gateway}/dashboard/demo/integrations/${id}`);
        await page.getByRole("heading", { name: "This does not exist." }).waitFor();
      },
      { refusals: [404] },
    );
  }

  for (const path of ["dashboard/%ff", "dashboard/%E0%A4%A"]) {
    await test(
      `a page that does not exist: ${path}`,
      async (page) => {
        await page.goto(`${gateway}/${path}`);
        await page.getByRole("heading", { name: "There is no such page." }).waitFor();
      },
      { refusals: [403, 404] },
    );
  }

  await test("what nobody can have meant is not asked for", async (page) => {
    const nonsense = "__proto__";
    await page.goto(
      `${gateway}/dashboard/demo?need=${nonsense}&sort=${nonsense}&platform=${nonsense}`,
    );
    await page.getByText("13 of 13 shown").waitFor();
    assert.equal(await page.getByLabel("Sort by").inputValue(), "");
    assert.equal(await page.getByRole("combobox", { name: "Platform" }).inputValue(), "");
    await page.goto(`${gateway}/connect?refused=${nonsense}`);
    await page.getByText("That did not work. Try again. Nothing has changed.").waitFor();
    const question = Buffer.from('{"accounts":[]}').toString("base64url");
    const place = `${gateway}/dashboard/demo/integrations/snapchat-expired/reconnect`;
    await page.goto(`${place}#${question}`);
    await page.getByRole("button", { name: "Continue to Snapchat" }).waitFor();
  });

  await test("a fault of a view leaves the rest", async (page) => {
    await page.route("**/api/dashboard/demo/members?**", (route) =>
      route.fulfill({ json: { members: [{}] } }),
    );
    // What is wrong is for whoever mends it.
    await page.evaluate(() => (console.error = () => {}));
    await page.getByRole("link", { name: "Members" }).click();
    await page.getByRole("heading", { name: "This cannot be shown." }).waitFor();
    await page.getByRole("link", { name: "Token Warden" }).click();
    await table(page).waitFor();
  });
}
