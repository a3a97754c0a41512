// The way to a platform's consent page and back: connect a new account, or mend a connection.

import { call, get } from "./api.mjs";
import { html, useState } from "./html.mjs";
import { Failure, Loading, useLive } from "./states.mjs";

/** What a refusal means, and what to do. @type {Record<string, string>} */
const REFUSED = {
  denied: "The platform was told not to connect the account. Nothing has changed.",
  foreign: "This was begun in another browser. Nothing has changed; start again here.",
  no_account: "The platform did not say which account this is. Nothing has changed.",
  not_set_up: "This deployment has no client id of the platform. Ask whoever runs Token Warden.",
  platform: "This account is connected to another platform. Nothing has changed.",
  platform_failed: "The platform gave no usable answer. Nothing has changed; try again.",
  unknown: "This took too long, or was done before. Nothing has changed; start again.",
};

/** @param {string} reason */
const refusal = (reason) => REFUSED[reason] ?? "That did not work. Nothing has changed; try again.";

/**
 * @typedef {object} Account
 * @property {string} account_id
 * @property {string} username
 */

/**
 * @typedef {object} Question
 * @property {string} consent
 * @property {Account[]} accounts
 * @property {Account | null} before
 * @property {string[]} missing_scopes
 */

/** What the address asks, behind its `#`. @returns {Question | null} */
function question() {
  try {
    const text = atob(location.hash.slice(1).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    const read = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(read.accounts) ? read : null;
  } catch {
    return null;
  }
}

/** @param {Account} account */
const named = ({ account_id, username }) => (username ? `${username} (${account_id})` : account_id);

/** @param {string} path @param {object} body */
async function leave(path, body) {
  const { url } = await call("POST", `${path}/consent`, body);
  location.assign(url);
}

/** @param {{parameters: string[]}} of */
export function Reconnect({ parameters: [org, id] }) {
  const page = `dashboard/${encodeURIComponent(org)}/integrations/${encodeURIComponent(id)}`;
  const path = `api/${page}`;
  const { data: of, error, reload } = useLive(() => get(path), [org, id]);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const refused = new URLSearchParams(location.search).get("refused");
  const asked = question();
  if (!of && !(error?.status === 404)) {
    return error
      ? html`<${Failure} title="This integration could not be loaded." error=${error} retry=${reload} />`
      : html`<${Loading} what="the integration" />`;
  }
  const begin = () => leave(path, {}).catch(setProblem);
  const name = of?.platform_name ?? "the platform";
  return html`
    <p><a href=${of ? page : `dashboard/${encodeURIComponent(org)}`}>Back</a></p>
    <h1>${of ? `Reconnect ${of.username}` : "Connect an account"} <small>${of?.platform_name}</small></h1>
    ${problem && html`<${Failure} title="That did not work." error=${problem} />`}
    ${refused && html`<p class="stale" role="alert">${refusal(refused)}</p>`}
    ${asked
      ? html`<${Ask} path=${path} page=${page} asked=${asked} begin=${begin} />`
      : html`
          ${of && html`<p class="why">${of.message}</p>`}
          <p>${name} asks you to sign in and to allow Token Warden again. Use the account ${of ? named(of) : ""}.</p>
          ${of && html`<p><button type="button" class="button" onClick=${begin}>Continue to ${name}</button></p>`}
        `}
  `;
}

/** Asks before a grant is stored. @param {any} of */
function Ask({ path, page, asked, begin }) {
  const { accounts, before, missing_scopes: missing, consent } = asked;
  const same = before && accounts.find((/** @type {Account} */ of) => of.account_id === before.account_id);
  const [chosen, setChosen] = useState((same ?? accounts[0])?.account_id);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const confirm = async () => {
    try {
      await call("POST", `${path}/consent/confirm`, { consent, account_id: chosen });
      location.assign(`${page}?connected=1`);
    } catch (refused) {
      setProblem(refused);
    }
  };
  return html`
    ${problem && html`<${Failure} title="That did not work." error=${problem} />`}
    ${before && !same && html`<p class="why">You connected another account. This was ${named(before)}.</p>`}
    ${missing.length > 0 &&
    html`<p class="why">It may do less than before:</p>
      <ul class="missing">${missing.map((/** @type {string} */ scope) => html`<li key=${scope}><code>${scope}</code></li>`)}</ul>`}
    <fieldset>
      <legend>Account</legend>
      ${accounts.map(
        (/** @type {Account} */ of) => html`<label key=${of.account_id}>
          <input type="radio" name="account" checked=${of.account_id === chosen} onChange=${() => setChosen(of.account_id)} /> ${named(of)}
        </label>`,
      )}
    </fieldset>
    <p class="actions">
      <button type="button" onClick=${begin}>Choose again at the platform</button>
      <button type="button" onClick=${confirm}>Use this account</button>
    </p>
  `;
}

/** Connects a new account. @param {{parameters: string[]}} of */
export function Connect({ parameters: [org] }) {
  const { data, error, reload } = useLive(() => get("api/platforms"), []);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  if (!data) {
    return error
      ? html`<${Failure} title="The platforms could not be loaded." error=${error} retry=${reload} />`
      : html`<${Loading} what="the platforms" />`;
  }
  const begin = (/** @type {string} */ platform) => {
    const id = `${platform}-${crypto.randomUUID()}`;
    const path = `api/dashboard/${encodeURIComponent(org)}/integrations/${id}`;
    leave(path, { platform }).catch(setProblem);
  };
  return html`
    <p><a href="dashboard/${encodeURIComponent(org)}">All integrations</a></p>
    <h1>Connect an account</h1>
    ${problem && html`<${Failure} title="That did not work." error=${problem} />`}
    <ul class="cards">
      ${data.platforms.map(
        (/** @type {any} */ of) => html`<li key=${of.platform}>
          <button type="button" class="card" onClick=${() => begin(of.platform)}>${of.platform_name}</button>
        </li>`,
      )}
    </ul>
  `;
}

/** Says that nobody knows whose consent it was. */
export function Refused() {
  const refused = new URLSearchParams(location.search).get("refused") ?? "";
  return html`<section class="failure" role="alert">
    <h1>Nothing was connected.</h1>
    <p>${refusal(refused)}</p>
    <a class="button" href="./">To your integrations</a>
  </section>`;
}
