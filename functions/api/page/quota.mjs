// How much of an integration's quota is used.

import { get } from "./api.mjs";
import { html } from "./html.mjs";
import { useLive } from "./states.mjs";
import { fromNow, span } from "./time.mjs";

/** @typedef {{limit: number, seconds: number, remaining: number, reset: number}} Window */

/** @param {{org: string, id: string}} of */
export function Quota({ org, id }) {
  const one = new URLSearchParams({ integration_id: id });
  const path = `api/dashboard/${encodeURIComponent(org)}/rate-limits?${one}`;
  const { data } = useLive(() => get(path), [org, id]);
  const quota = data?.integrations[0];
  if (!quota?.period) {
    return null;
  }
  const now = Date.now();
  return html`<section class="panel">
    <h2>Quota</h2>
    ${
      quota.blocked_until &&
      html`<p>
        The platform asks us to wait: calls go on ${fromNow(instant(quota.blocked_until), now)}.
      </p>`
    }
    <${Bar} window=${quota.period} now=${now} />
    <${Bar} window=${quota.burst} now=${now} />
  </section>`;
}

/** @param {number} seconds since the epoch */
const instant = (seconds) => new Date(seconds * 1000).toISOString();

const count = (/** @type {number} */ calls) => calls.toLocaleString("en");

/** @param {{window: Window, now: number}} of */
function Bar({ window: { limit, seconds, remaining, reset }, now }) {
  const used = limit - remaining;
  return html`<label class="quota">
    <span>${count(used)} of ${count(limit)} calls used in any ${span(seconds)}</span>
    <meter max=${limit} high=${limit * 0.9} optimum="0" value=${used}></meter>
    ${used > 0 && html`<span class="fine">More free ${fromNow(instant(reset), now)}</span>`}
  </label>`;
}
