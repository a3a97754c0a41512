// What is left of an integration's quota.

import { get } from "./api.mjs";
import { html, useRef } from "./html.mjs";
import { useLive } from "./states.mjs";
import { fromNow, span } from "./time.mjs";

/** @typedef {{limit: number, seconds: number, remaining: number, reset: number}} Window */

/** @param {{org: string, id: string}} of */
export function Quota({ org, id }) {
  const page = useRef("");
  const path = `api/dashboard/${encodeURIComponent(org)}/rate-limits`;
  const { data: quota } = useLive(() => find(path, id, page), [org, id]);
  if (!quota?.period) {
    return null;
  }
  const now = Date.now();
  return html`<section class="panel">
    <h2>Quota</h2>
    ${
      quota.blocked_until &&
      html`<p>The platform asks us to wait: calls go on ${fromNow(quota.blocked_until, now)}.</p>`
    }
    <${Bar} window=${quota.period} now=${now} />
    <${Bar} window=${quota.burst} now=${now} />
  </section>`;
}

/** @param {{window: Window, now: number}} of */
function Bar({ window: { limit, seconds, remaining, reset }, now }) {
  const more = new Date(reset * 1000).toISOString();
  return html`<label class="quota">
    <span>${remaining} of ${limit} calls left in any ${span(seconds)}</span>
    <meter max=${limit} low=${limit / 10} optimum=${limit} value=${remaining}></meter>
    <span class="fine">${remaining < limit ? `More free ${fromNow(more, now)}` : "None used"}</span>
  </label>`;
}

/**
 * Finds the row of an integration, and remembers on which page of the list it was.
 * @param {string} path
 * @param {string} id
 * @param {{current: string}} page
 */
async function find(path, id, page) {
  let next = page.current;
  do {
    const query = next && `?${new URLSearchParams({ next })}`;
    const answer = await get(path + query);
    const isIt = (/** @type {any} */ row) => row.integration_id === id;
    if (answer.integrations.some(isIt)) {
      page.current = next;
      return answer.integrations.find(isIt);
    }
    next = answer.next;
  } while (next);
  page.current = "";
  return null;
}
