// An authorization server to refresh against: npm's oidc-provider, which decides
// what a token is worth, over a store in memory. Refresh tokens are used once;
// using one again revokes its grant with everything that came of it, which is
// oidc-provider's own rule. Prints where it is, and who its client is, as one
// line of JSON; says nothing else on stdout.
//
// A second server, for the tests: POST /grants has the provider's own models
// make a grant, as if a person had consented; GET /grants/<id> says how it is.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";

// The library's notices about its configuration go to stdout by default.
console.info = console.warn = console.error;
const { Provider } = await import("oidc-provider");

const SCOPE = "tweet.read users.read offline_access";
const CLIENT = {
  client_id: "independent",
  client_secret: randomBytes(32).toString("base64url"),
  token_endpoint_auth_method: "client_secret_basic",
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  redirect_uris: ["https://client.invalid/callback"],
  scope: SCOPE,
};

// The one that comes with the library keeps the last thousand items only.
const items = new Map();

class Store {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload) {
    items.set(this.key(id), payload);
  }

  async find(id) {
    return items.get(this.key(id));
  }

  // Sessions and device codes, of which there are none here.
  async findByUid() {}

  async findByUserCode() {}

  async consume(id) {
    items.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    items.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, payload] of items) {
      if (key.startsWith(`${this.model}:`) && payload.grantId === grantId) items.delete(key);
    }
  }
}

async function listen(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${server.address().port}`;
}

const server = createServer();
const issuer = await listen(server);
const provider = new Provider(issuer, {
  adapter: Store,
  clients: [CLIENT],
  scopes: SCOPE.split(" "),
  rotateRefreshToken: true,
  ttl: { AccessToken: 7_200, Grant: 14 * 86_400, RefreshToken: 14 * 86_400 },
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  features: { devInteractions: { enabled: false } },
});
server.on("request", provider.callback());

// By grant: how often it was refreshed, and how often refused.
const counts = new Map();
const count = (ctx, what) => {
  const of = counts.get(ctx.oidc.entities.RefreshToken?.grantId);
  if (of) of[what] += 1;
};
provider.on("grant.success", (ctx) => count(ctx, "refreshed"));
provider.on("grant.error", (ctx) => count(ctx, "refused"));

async function mint({ account }) {
  const client = await provider.Client.find(CLIENT.client_id);
  const grant = new provider.Grant({ accountId: account, clientId: client.clientId });
  grant.addOIDCScope(SCOPE);
  const grantId = await grant.save();
  const of = { accountId: account, client, grantId, gty: "authorization_code", scope: SCOPE };
  counts.set(grantId, { refreshed: 0, refused: 0 });
  return {
    grant: grantId,
    access_token: await new provider.AccessToken(of).save(),
    refresh_token: await new provider.RefreshToken(of).save(),
  };
}

async function standing(grantId) {
  const living = (model) =>
    [...items].filter(
      ([key, payload]) =>
        key.startsWith(`${model}:`) && payload.grantId === grantId && !payload.consumed,
    ).length;
  return {
    alive: (await provider.Grant.find(grantId)) !== undefined,
    access_tokens: living("AccessToken"),
    refresh_tokens: living("RefreshToken"),
    ...counts.get(grantId),
  };
}

const control = createServer(async (request, response) => {
  const grant = request.url.match(/^\/grants\/([\w-]+)$/)?.[1];
  let answer;
  try {
    if (request.method === "POST" && request.url === "/grants") {
      answer = await mint(await json(request));
    } else if (request.method === "GET" && counts.has(grant)) {
      answer = await standing(grant);
    }
  } catch (error) {
    console.error(error);
    response.statusCode = 500;
  }
  if (!answer && response.statusCode === 200) response.statusCode = 404;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(answer ?? {}));
});

process.stdout.write(
  `${JSON.stringify({
    issuer,
    token_endpoint: `${issuer}/token`,
    control: await listen(control),
    client_id: CLIENT.client_id,
    client_secret: CLIENT.client_secret,
  })}\n`,
);
