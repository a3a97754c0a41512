// The organisations of whoever is signed in.

import { get } from "./api.mjs";
import { html, useEffect } from "./html.mjs";
import { go } from "./router.mjs";
import { Empty, Failure, Loading, useLive } from "./states.mjs";

export function Organizations() {
  const { data, error, reload } = useLive(() => get("api/organizations"), []);
  const all = data?.organizations;
  const only = all?.length === 1 ? all[0].org_id : null;
  useEffect(() => {
    if (only) {
      history.replaceState(null, "", `dashboard/${encodeURIComponent(only)}`);
      go(location.href);
    }
  }, [only]);
  if (!all) {
    return error
      ? html`<${Failure}
          title="Your organisations could not be loaded."
          error=${error}
          retry=${reload}
        />`
      : html`<${Loading} what="your organisations" />`;
  }
  if (all.length === 0) {
    return html`<${Empty} title="You belong to no organisation yet.">
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
