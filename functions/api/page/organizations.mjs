// The organisations of whoever is signed in.

import { get } from "./api.mjs";
import { html, useEffect } from "./html.mjs";
import { goOn } from "./router.mjs";
import { Empty, Pending, useLive, useTitle } from "./states.mjs";

/** @typedef {{name: string, permissions: string[], isKnown: boolean}} Organization */
/** @typedef {{org_id: string, name: string, role: string, permissions: string[]}} One */

const useOrganizations = () => useLive(() => get("api/organizations"), []);

/**
 * An organisation's name, and what the reader may do there; nothing until that is known.
 * @param {string} org
 * @returns {Organization}
 */
export function useOrganization(org) {
  const { data } = useOrganizations();
  const mine = data?.organizations.find((/** @type {One} */ of) => of.org_id === org);
  return { name: org, permissions: [], ...mine, isKnown: Boolean(mine) };
}

/** Whether the reader may connect and mend accounts. @param {{permissions: string[]}} of */
export const isManager = ({ permissions }) => permissions.includes("manage_integrations");

/** Says who connects and mends accounts. */
export const Managers = () =>
  html`<p>
    You may look at the accounts here. Somebody with the permission${" "}
    <code>manage_integrations</code> can connect and mend them.
  </p>`;

export function Organizations() {
  const { data, error, reload } = useOrganizations();
  useTitle("Your organisations");
  return data
    ? html`<${Choice} title="Your organisations" all=${data.organizations} under="">
        <${Empty} title="You belong to no organisation yet.">
          <p>Whoever owns yours can add you as a member.</p>
        <//>
      <//>`
    : html`<${Pending} what="your organisations" error=${error} retry=${reload} />`;
}

/** The way to connect an account, whatever the organisation. */
export function ConnectSomewhere() {
  const { data, error, reload } = useOrganizations();
  const title = "Where do you want to connect an account?";
  useTitle("Connect an account");
  return data
    ? html`<${Choice} title=${title} all=${data.organizations.filter(isManager)} under="/connect">
        <${Empty} title="You can connect no account.">
          <p>
            It takes the permission <code>manage_integrations</code> in an organisation. Whoever
            owns yours can give it to you.
          </p>
        <//>
      <//>`
    : html`<${Pending} what="your organisations" error=${error} retry=${reload} />`;
}

/**
 * Organisations to choose from. The only one is opened by itself; `children` are for none.
 * @param {{title: string, all: One[], under: string, children?: unknown}} of
 */
function Choice({ title, all, under, children }) {
  const address = (/** @type {One} */ of) => `dashboard/${encodeURIComponent(of.org_id)}${under}`;
  const [first, second] = all;
  const only = first && !second ? address(first) : null;
  useEffect(() => {
    if (only) {
      goOn(only);
    }
  }, [only]);
  if (only) {
    return null;
  }
  if (!first) {
    return html`<h1 class="hidden">${title}</h1>
      ${children}`;
  }
  return html`
    <h1>${title}</h1>
    <ul class="cards">
      ${all.map(
        (of) =>
          html`<li key=${of.org_id}>
            <a class="card" href=${address(of)}>
              <strong>${of.name}</strong
              ><span>${of.role === "owner" ? "You own it" : "You are a member"}</span>
            </a>
          </li>`,
      )}
    </ul>
  `;
}
