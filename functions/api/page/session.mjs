// Who is signed in: OpenID Connect's authorization code flow with PKCE. Tokens are kept in memory
// alone; a reload asks the identity provider again, which answers without a page as long as
// its own session lives.

/**
 * @typedef {object} SignIn
 * @property {string} authorization_endpoint
 * @property {{endpoint: string, parameters: string[]} | null} sign_out
 * @property {string} client_id
 * @property {string} scope
 * @property {[string, string][]} parameters
 */

/** What is kept over the way to the identity provider and back. */
const PENDING = "warden.sign-in";

/** That something was asked for, and not done, when the person had to sign in again. */
const DROPPED = "warden.dropped";

/** @type {{access: string, refresh: string | undefined, id: string | undefined} | null} */
let tokens = null;
/** @type {Promise<boolean> | null} */
let renewing = null;

/** Whether the person has signed out; nobody is asked who they are then. */
let isOver = false;

/** Who signs out in one tab does so in all. */
const tabs = new BroadcastChannel(`warden.signed-out ${document.baseURI}`);
tabs.onmessage = () => {
  forget();
  location.replace(signedOut());
};
// What a browser kept of the page shows what only the person may see.
addEventListener("pageshow", (event) => event.persisted && isOver && location.reload());

const signedOut = () => new URL("signed-out", document.baseURI).href;

function forget() {
  tokens = null;
  isOver = true;
}

export const accessToken = () => tokens?.access ?? null;

/** Where the identity provider sends people back to. */
const home = () => new URL(".", document.baseURI).href;

/**
 * Asks our own origin.
 * @param {string} path
 * @param {RequestInit} [init]
 */
export async function reach(path, init) {
  try {
    return await fetch(path, { cache: "no-store", ...init });
  } catch {
    throw new Error("Token Warden could not be reached. Are you offline?");
  }
}

/** @returns {Promise<SignIn>} */
async function settings() {
  const response = await reach("sign-in");
  const body = await response.json();
  if (!response.ok) {
    throw new Error(body.detail);
  }
  return body;
}

/**
 * Signs the person in if that takes no page; else leaves for the identity provider. Returns the
 * path to show, or null if the browser is on its way elsewhere.
 * @returns {Promise<string | null>}
 */
export async function begin() {
  const parameters = new URLSearchParams(location.search);
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  if (!pending || parameters.get("state") !== pending.state) {
    await leave(location.href, "none");
    return null;
  }
  // Whatever comes of it, a reload begins anew from here.
  history.replaceState(null, "", pending.returnTo);
  const code = parameters.get("code");
  if (
    code &&
    (await exchange({
      grant_type: "authorization_code",
      code,
      code_verifier: pending.verifier,
      redirect_uri: home(),
    }))
  ) {
    return pending.returnTo;
  }
  if (!pending.prompt) {
    // It has been asked already, and would answer the same again.
    const reason = parameters.get("error_description") ?? parameters.get("error");
    throw new Error(reason ?? "The identity provider's answer was refused.");
  }
  // Nobody is signed in there, or it wants to show something.
  await leave(pending.returnTo, "");
  return null;
}

/**
 * Leaves for the identity provider.
 * @param {string} returnTo
 * @param {string} prompt
 */
async function leave(returnTo, prompt) {
  const { authorization_endpoint, client_id, scope, parameters: more } = await settings();
  const pending = { state: random(), verifier: random(), returnTo, prompt };
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const url = new URL(authorization_endpoint);
  const parameters = {
    ...Object.fromEntries(more),
    response_type: "code",
    client_id,
    scope,
    redirect_uri: home(),
    state: pending.state,
    code_challenge: await challenge(pending.verifier),
    code_challenge_method: "S256",
    ...(prompt && { prompt }),
  };
  for (const [name, value] of Object.entries(parameters)) {
    url.searchParams.set(name, value);
  }
  // The way back leads to what was shown before, not here again.
  location.replace(url);
}

/**
 * Gets a new access token, one at a time. Returns whether there is one; never, if the browser
 * leaves to sign the person in again.
 * @returns {Promise<boolean>}
 */
function renew() {
  if (isOver) {
    return Promise.resolve(false);
  }
  renewing ??= (async () => {
    const refresh = tokens?.refresh;
    const renewed =
      refresh && (await exchange({ grant_type: "refresh_token", refresh_token: refresh }));
    if (!renewed) {
      tokens = null;
      await leave(location.href, "none");
      await new Promise(() => {});
    }
    return true;
  })().finally(() => {
    renewing = null;
  });
  return renewing;
}

/**
 * Gets a new access token for a request, and remembers over the way to the identity provider that
 * what it was to do is not done.
 * @param {string} method
 */
export async function renewFor(method) {
  if (method !== "GET") {
    sessionStorage.setItem(DROPPED, "");
  }
  try {
    return await renew();
  } finally {
    // Not if the browser leaves.
    sessionStorage.removeItem(DROPPED);
  }
}

/** Whether something was not done for the sake of signing in. It is said once. */
export function wasDropped() {
  const isThere = sessionStorage.getItem(DROPPED) !== null;
  sessionStorage.removeItem(DROPPED);
  return isThere;
}

/** Ends the session here and at the identity provider. */
export async function signOut() {
  const id = tokens?.id;
  const back = signedOut();
  forget();
  tabs.postMessage(null);
  const { sign_out, client_id } = await settings().catch(() => ({ sign_out: null, client_id: "" }));
  if (!sign_out) {
    location.assign(back);
    return;
  }
  const url = new URL(sign_out.endpoint);
  /** @type {Record<string, string | undefined>} */
  const known = {
    client_id,
    id_token_hint: id,
    post_logout_redirect_uri: back,
    logout_uri: back,
  };
  for (const name of sign_out.parameters) {
    const value = known[name];
    if (value) {
      url.searchParams.set(name, value);
    }
  }
  location.assign(url);
}

/**
 * @param {Record<string, string>} grant
 * @returns {Promise<boolean>}
 */
async function exchange(grant) {
  const body = new URLSearchParams(grant);
  const response = await reach("sign-in/token", { method: "POST", body });
  if (response.status >= 500) {
    // The identity provider does not answer: nobody is sent there.
    throw new Error((await response.json()).detail);
  }
  if (!response.ok) {
    return false;
  }
  const { access_token, refresh_token, id_token } = await response.json();
  tokens = {
    access: access_token,
    refresh: refresh_token ?? tokens?.refresh,
    id: id_token ?? tokens?.id,
  };
  return true;
}

/** 256 random bits. */
function random() {
  return encode(crypto.getRandomValues(new Uint8Array(32)));
}

/** @param {string} verifier */
async function challenge(verifier) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return encode(new Uint8Array(digest));
}

/** Base64 for URLs, without padding. @param {Uint8Array} bytes */
function encode(bytes) {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
