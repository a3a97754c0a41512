// Signs in at an identity provider that nobody here wrote: npm's oidc-provider, with its own pages.

import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";

import { start } from "./stack.mjs";

const CLIENT = "page";
const AUDIENCE = "warden";
const RESOURCE = "https://warden.example";

/** The provider, for the page at `gateway`. */
async function provider(home, issuer, gateway) {
  const { Provider } = await import(join(home, "node_modules/oidc-provider/lib/index.js"));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT,
        token_endpoint_auth_method: "none",
        redirect_uris: [`${gateway}/`],
        post_logout_redirect_uris: [`${gateway}/signed-out`],
        id_token_signed_response_alg: "ES256",
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), alg: "ES256", use: "sig" }] },
    cookies: { keys: [randomBytes(32).toString("base64url")] },
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    features: {
      // It gives tokens that we can read for nothing but a resource (RFC 8707).
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: "",
          audience: AUDIENCE,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  });
  provider.use(async (ctx, next) => {
    await next();
    if (typeof ctx.body === "string") {
      // Its pages ask another server for a font.
      ctx.body = ctx.body.replaceAll(/@import url\([^)]*\);/g, "");
    }
  });
  return provider;
}

/** `home` is where the provider is installed. */
export async function otherIssuer(test, { warden, home }) {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const parameters = {
    AuthIssuer: issuer,
    AuthAudience: AUDIENCE,
    SignInClientId: CLIENT,
    SignInParameters: new URLSearchParams({ resource: RESOURCE }),
  };
  const options = Object.entries(parameters).flatMap(([name, value]) => [
    "--parameter",
    `${name}=${value}`,
  ]);
  const stack = { ...(await start(warden, options)), issuer };
  const { gateway } = stack;
  server.on("request", (await provider(home, issuer, gateway)).callback());
  try {
    await test(
      "somebody signs in and out at an issuer that nobody here wrote",
      async (page) => {
        await page.goto(`${gateway}/dashboard/demo/members`);
        await page.waitForURL(`${issuer}/interaction/**`);
        await page.getByPlaceholder("Enter any login").fill("olga");
        await page.getByPlaceholder("and password").fill("any");
        await page.getByRole("button", { name: "Sign-in" }).click();
        await page.getByRole("button", { name: "Continue" }).click();
        await page.waitForURL(`${gateway}/dashboard/demo/members`);
        await page.getByRole("heading", { name: "Members" }).waitFor();
        // It knows the browser now.
        await page.goto(gateway);
        await page.waitForURL(`${gateway}/dashboard/demo`);
        await page.getByRole("table").waitFor();
        await page.getByRole("button", { name: "Sign out" }).click();
        await page.waitForURL(`${issuer}/session/end**`);
        await page.getByRole("button", { name: "Yes, sign me out" }).click();
        await page.waitForURL(`${gateway}/signed-out`);
        await page.getByRole("link", { name: "Sign in again" }).click();
        await page.getByPlaceholder("Enter any login").waitFor();
        assert.equal(new URL(page.url()).origin, issuer);
      },
      // It has no icon.
      { user: null, stack, refusals: [404] },
    );
  } finally {
    server.close();
    await stack.stop();
  }
}
