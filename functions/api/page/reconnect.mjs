// The way to a platform's consent page and back: connect a new account, or mend a connection.

import { call, get, getIntegration } from "./api.mjs";
import { html, useState } from "./html.mjs";
import { ConnectSomewhere, Managers, isManager } from "./organizations.mjs";
import { Failure, Pending, Told, useAction, useLive, useTitle } from "./states.mjs";

/** Says why nothing was connected, in the API's words. @param {{reason: string}} of */
function Refusal({ reason }) {
  const { data } = useLive(() => get("api/platforms"), []);
  const known = new Map(Object.entries(data?.consent_refusals ?? {}));
  const words = known.get(reason) ?? "That did not work. Try again.";
  return html`${data && words} Nothing has changed.`;
}

/**
 * @typedef {object} Account
 * @property {string} account_id
 * @property {string} username
 */

/**
 * @typedef {object} Question
 * @property {string} consent
 * @property {boolean} is_identified
 * @property {Account[]} accounts
 * @property {Account | null} before
 * @property {string[]} missing_scopes
 */

const isText = (/** @type {unknown} */ value) => typeof value === "string";
const isAccount = (/** @type {any} */ of) => isText(of?.account_id) && isText(of.username);

/** @param {any} of @returns {of is Question} */
const isQuestion = (of) =>
  isText(of?.consent) &&
  Array.isArray(of.accounts) &&
  of.accounts.length > 0 &&
  of.accounts.every(isAccount) &&
  (of.before === null || isAccount(of.before)) &&
  Array.isArray(of.missing_scopes) &&
  of.missing_scopes.every(isText);

/** What the address asks, behind its `#`. @returns {Question | null} */
function question() {
  try {
    const text = atob(location.hash.slice(1).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const read = JSON.parse(new TextDecoder().decode(bytes));
    return isQuestion(read) ? read : null;
  } catch {
    return null;
  }
}

/** @param {Account} account */
const named = ({ account_id: id, username }) =>
  username && username !== id ? `${username} (${id})` : id;

/**
 * Leaves for the platform's page.
 * @param {string} path
 * @param {object} body
 */
async function leave(path, body) {
  const { url } = await call("POST", `${path}/consent`, body);
  location.assign(url);
}

/** @param {{parameters: [string, string], organization: import("./organizations.mjs").Organization}} of */
export function Reconnect({ parameters: [org, id], organization }) {
  const home = `dashboard/${encodeURIComponent(org)}`;
  const page = `${home}/integrations/${encodeURIComponent(id)}`;
  const path = `api/${page}`;
  const { data: of, error, reload } = useLive(() => getIntegration(path, id), [org, id]);
  const [run, outcome] = useAction();
  useTitle("Reconnect an account");
  const refused = new URLSearchParams(location.search).get("refused");
  const asked = question();
  // A new account is no integration before it is connected.
  const isNew = error?.status === 404 && Boolean(refused || asked);
  if (!of && !isNew) {
    return html`<${Pending} what="the integration" error=${error} retry=${reload} />`;
  }
  const begin = () => run(() => leave(path, {}));
  const manages = isManager(organization);
  return html`
    <p>
      ${of ? html`<a href=${page}>${of.username ?? id}</a>` : html`<a href="${home}/connect">Back</a>`}
    </p>
    <h1>
      ${of ? `Reconnect ${of.username ?? id}` : "Connect an account"}${" "}
      <small>${of?.platform_name}</small>
    </h1>
    <${Told} ...${outcome} />
    ${refused && html`<p class="notice failed" role="alert"><${Refusal} reason=${refused} /></p>`}
    ${organization.isKnown && !manages && html`<${Managers} />`}
    ${manages && asked && html`<${Ask} path=${path} page=${page} asked=${asked} />`}
    ${!asked && of && html`<p class="why">${of.message}</p>`}
    ${manages && !asked && of?.platform && html`<${Explain} of=${of} begin=${begin} />`}
    ${manages && !asked && of && !of.platform && html`<${Which} path=${path} run=${run} />`}
  `;
}

/**
 * Asks of which platform an integration is that cannot be read.
 * @param {{path: string, run: (act: () => Promise<void>) => void}} of
 */
function Which({ path, run }) {
  const { data, error, reload } = useLive(() => get("api/platforms"), []);
  if (!data) {
    return html`<${Pending} what="the platforms" error=${error} retry=${reload} />`;
  }
  const begin = (/** @type {string} */ platform) => run(() => leave(path, { platform }));
  return html`
    <p>Choose the platform of the account.</p>
    <${Platforms} all=${data.platforms} begin=${begin} />
  `;
}

/** Says what happens next. @param {any} of */
function Explain({ of, begin }) {
  return html`
    <p>
      ${of.platform_name} asks you to sign in and to allow Token Warden again. Use the account
      ${" "}${named(of)}.
    </p>
    <p class="actions">
      <button type="button" class="button" onClick=${begin}>Continue to ${of.platform_name}</button>
    </p>
  `;
}

/**
 * What is asked, and what agrees to it.
 * @param {{isOther: boolean, isLess: boolean, isKnown: boolean}} of
 * @returns {[string, string]}
 */
function wording({ isOther, isLess, isKnown }) {
  if (isOther && isLess) {
    return [
      "Use another account, with fewer permissions?",
      "Use this account with fewer permissions",
    ];
  }
  if (isLess) {
    return ["Go on with fewer permissions?", "Go on with fewer permissions"];
  }
  if (isOther) {
    return ["Use another account?", "Use this account"];
  }
  return isKnown
    ? ["Which account?", "Use this account"]
    : ["Is it the same account?", "It is: use this account"];
}

/** Asks before a grant is stored. @param {{path: string, page: string, asked: Question}} of */
function Ask({ path, page, asked }) {
  const { accounts, before, missing_scopes: missing, consent, is_identified: isKnown } = asked;
  const same = before && accounts.find((of) => of.account_id === before.account_id);
  const [chosen, setChosen] = useState((same || accounts[0])?.account_id);
  const [run, outcome] = useAction();
  const confirm = () =>
    run(async () => {
      await call("POST", `${path}/consent/confirm`, { consent, account_id: chosen });
      location.assign(`${page}?connected=1`);
    });
  const isOther = Boolean(before && !same);
  const isLess = missing.length > 0;
  const [title, yes] = wording({ isOther, isLess, isKnown });
  return html`
    <${Told} ...${outcome} />
    <h2>${title}</h2>
    ${
      before &&
      !same &&
      html`<p>
        You connected another account. This was ${named(before)}. If it is missing below, choose it
        on the platform’s page, signed in as somebody who manages it.
      </p>`
    }
    ${!isKnown && html`<p>The platform does not say which account this is.</p>`}
    ${
      isLess &&
      html`<p>It was allowed before, and is not any more:</p>
        <ul class="missing">
          ${missing.map((scope) => html`<li key=${scope}><code>${scope}</code></li>`)}
        </ul>`
    }
    <fieldset>
      <legend>Account</legend>
      ${accounts.map(
        (of) =>
          html`<label key=${of.account_id}>
            <input
              type="radio"
              name="account"
              checked=${of.account_id === chosen}
              onChange=${() => setChosen(of.account_id)}
            />
            ${named(of)}
          </label>`,
      )}
    </fieldset>
    <p class="actions">
      <button type="button" onClick=${confirm}>${yes}</button>
      <a class="button" href="${page}/reconnect">Choose again at the platform</a>
    </p>
  `;
}

/**
 * Connects a new account.
 * @param {{parameters: [string], organization: import("./organizations.mjs").Organization}} of
 */
export function Connect({ parameters: [org], organization }) {
  const home = `dashboard/${encodeURIComponent(org)}`;
  const { data, error, reload } = useLive(() => get("api/platforms"), []);
  const [run, outcome] = useAction();
  useTitle("Connect an account");
  if (!data) {
    return html`<${Pending} what="the platforms" error=${error} retry=${reload} />`;
  }
  const begin = (/** @type {string} */ platform) => {
    const path = `api/${home}/integrations/${platform}-${crypto.randomUUID()}`;
    return run(() => leave(path, { platform }));
  };
  return html`
    <p><a href=${home}>All integrations</a></p>
    <h1>Connect an account</h1>
    <${Told} ...${outcome} />
    ${organization.isKnown && !isManager(organization) && html`<${Managers} />`}
    ${isManager(organization) && html`<${Platforms} all=${data.platforms} begin=${begin} />`}
  `;
}

/** @param {{all: any[], begin: (platform: string) => void}} of */
const Platforms = ({ all, begin }) =>
  html`<ul class="cards">
    ${all.map(
      (of) =>
        html`<li key=${of.platform}>
          <button type="button" class="card" onClick=${() => begin(of.platform)}>
            ${of.platform_name}
          </button>
        </li>`,
    )}
  </ul>`;

/** Says that nobody knows whose consent it was. Without one, it is the way to connect. */
export function Returned() {
  const refused = new URLSearchParams(location.search).get("refused");
  if (refused === null) {
    return html`<${ConnectSomewhere} />`;
  }
  return html`<${Failure} title="Nothing was connected.">
    <p><${Refusal} reason=${refused} /></p>
    <p><a href="./">To your integrations</a></p>
  <//>`;
}
