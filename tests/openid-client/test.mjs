// Signs in at the local issuer with a client library that nobody here wrote, and calls the API
// with what it gets.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import * as client from "openid-client";

const [warden] = process.argv.slice(2);
const BACK = "http://127.0.0.1:3000/signed-in";

const home = mkdtempSync(join(tmpdir(), "warden-openid-client-"));
const options = ["local", "--json", "--port", "0", "--dynamodb-port", "0", "--data-dir", join(home, "warden")];
const local = spawn(warden, options, { stdio: ["ignore", "pipe", openSync(join(home, "local.log"), "w")] });
const ended = once(local, "exit");

async function addresses() {
  for await (const line of createInterface({ input: local.stdout })) {
    return JSON.parse(line).addresses;
  }
  throw new Error("warden local did not start");
}

/** Sends a browser's request, and follows no redirect. */
async function browse(url, { cookie, form } = {}) {
  const headers = cookie ? { cookie } : {};
  const body = form && new URLSearchParams(form);
  return fetch(url, { method: form ? "POST" : "GET", headers, body, redirect: "manual" });
}

/** Opens the sign-in page and chooses a user there. */
async function choose(url, user) {
  const page = await browse(url);
  assert.equal(page.status, 200);
  const html = await page.text();
  assert.ok(html.includes(`value="${user}"`), html);
  const action = /action="([^"]+)"/.exec(html)[1].replaceAll("&amp;", "&");
  return browse(new URL(action, url), { form: { user } });
}

const target = (response) => {
  assert.equal(response.status, 303);
  return new URL(response.headers.get("location"));
};

let passed = 0;
async function test(name, body) {
  await body();
  passed += 1;
  console.log(`${name}: ok`);
}

try {
  const { issuer, gateway } = await addresses();
  const secretless = client.None();
  const config = await client.discovery(new URL(issuer), "warden-local", undefined, secretless, {
    execute: [client.allowInsecureRequests],
  });
  const expected = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
  };
  const start = async (more = {}) =>
    client.buildAuthorizationUrl(config, {
      redirect_uri: BACK,
      scope: "openid offline_access",
      code_challenge: await client.calculatePKCECodeChallenge(expected.pkceCodeVerifier),
      code_challenge_method: "S256",
      state: expected.expectedState,
      nonce: expected.expectedNonce,
      ...more,
    });
  const organizations = async (token) => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${gateway}/api/organizations`, { headers });
    assert.equal(answer.status, 200);
    return (await answer.json()).organizations.map((of) => [of.org_id, of.role]);
  };
  let cookie, tokens;

  await test("a person signs in", async () => {
    const chosen = await choose(await start(), "olga");
    cookie = chosen.headers.get("set-cookie").split(";")[0];
    tokens = await client.authorizationCodeGrant(config, target(chosen), expected);
    assert.equal(tokens.claims().sub, "olga");
    assert.deepEqual(await organizations(tokens.access_token), [["demo", "owner"]]);
  });

  await test("the token is renewed", async () => {
    const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
    assert.deepEqual(await organizations(renewed.access_token), [["demo", "owner"]]);
    await assert.rejects(client.refreshTokenGrant(config, tokens.access_token), { error: "invalid_grant" });
  });

  await test("who is signed in is not asked", async () => {
    const silent = target(await browse(await start({ prompt: "none" }), { cookie }));
    const again = await client.authorizationCodeGrant(config, silent, expected);
    assert.equal(again.claims().sub, "olga");
    await assert.rejects(client.authorizationCodeGrant(config, silent, expected), { error: "invalid_grant" });
  });

  await test("another verifier gets nothing", async () => {
    const silent = target(await browse(await start(), { cookie }));
    const other = { ...expected, pkceCodeVerifier: client.randomPKCECodeVerifier() };
    await assert.rejects(client.authorizationCodeGrant(config, silent, other), { error: "invalid_grant" });
  });

  await test("a person signs out", async () => {
    const url = client.buildEndSessionUrl(config, { post_logout_redirect_uri: BACK, state: "s" });
    const out = await browse(url, { cookie });
    assert.equal(target(out).href, `${BACK}?state=s`);
    cookie = out.headers.get("set-cookie").split(";")[0];
    const silent = target(await browse(await start({ prompt: "none" }), { cookie }));
    await assert.rejects(client.authorizationCodeGrant(config, silent, expected), { error: "login_required" });
  });

  console.log(`${passed} passed, 0 failed`);
} finally {
  local.kill("SIGINT");
  await ended;
  rmSync(home, { recursive: true });
}
