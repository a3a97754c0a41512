// The organisations of whoever is signed in.

import { get } from "./api.mjs";
import { html, useEffect } from "./html.mjs";
import { goOn } from "./router.mjs";
import { Empty, Pending, useLive, useTitle } from "./states.mjs";

/**
 * An organisation's name, and what the reader may do there; nothing until that is known.
 * @param {string} org
 * @returns {{name: string, permissions: string[]}}
 */
export function useOrganization(org) {
  const { data } = useLive(() => get("api/organizations"), []);
  const mine = data?.organizations.find((/** @type {any} */ of) => of.org_id === org);
  return mine ?? { name: org, permissions: [] };
}

export function Organizations() {
  const { data, error, reload } = useLive(() => get("api/organizations"), []);
  const all = data?.organizations;
  useTitle("Your organisations");
  const only = all?.length === 1 ? all[0].org_id : null;
  useEffect(() => {
    if (only) {
      goOn(`dashboard/${encodeURIComponent(only)}`);
    }
  }, [only]);
  if (!all || only) {
    return html`<${Pending} what="your organisations" error=${error} retry=${reload} />`;
  }
  if (all.length === 0) {
    return html`<h1 class="hidden">Your organisations</h1>
      <${Empty} title="You belong to no organisation yet.">
        <p>Whoever owns yours can add you as a member.</p>
      <//>`;
  }
  return html`
    <h1>Your organisations</h1>
    <ul class="cards">
      ${all.map(
        (/** @type {any} */ of) =>
          html`<li key=${of.org_id}>
            <a class="card" href="dashboard/${encodeURIComponent(of.org_id)}">
              <strong>${of.name}</strong
              ><span>${of.role === "owner" ? "You own it" : "You are a member"}</span>
            </a>
          </li>`,
      )}
    </ul>
  `;
}
