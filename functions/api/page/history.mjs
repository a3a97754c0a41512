// What has happened to an integration, in words.

import { html } from "./html.mjs";
import { When } from "./table.mjs";
import { exactly } from "./time.mjs";

/**
 * @typedef {object} Entry as `history` of an integration has it
 * @property {string} at
 * @property {"attempt" | "action"} kind
 * @property {string} [attempt_id]
 * @property {string} [result]
 * @property {string | null} [code]
 * @property {number} [http_status]
 * @property {string | null} [platform_request_id]
 * @property {number} [duration_ms]
 * @property {string | null} [access_expires_before]
 * @property {string | null} [access_expires_after]
 * @property {string} [action]
 * @property {string} [by]
 */

/** @type {Record<string, string>} */
const RESULTS = {
  renewed: "Renewed",
  stored_from_fallback: "Stored the token of an earlier attempt",
  unchanged: "The token works, and ends when it did before",
  shortened: "The token works, and ends earlier than before",
  alive: "The token works",
  transient: "Failed for now",
  throttled: "The platform asked us to wait",
  in_doubt: "No clear answer came",
  reconnect_needed: "Refused: somebody must reconnect it",
  platform_action_needed: "Refused: somebody must act at the platform",
  permission_lost: "A permission is missing",
  app_misconfigured: "The platform refuses our application",
  rotation_lost: "The new token was lost: somebody must reconnect it",
  in_fallback: "The new token waits in the fallback",
  store_failed: "The new token could not be stored",
  superseded: "Somebody changed it at the same moment",
};

/** @type {Record<string, string>} */
const ACTIONS = {
  registered: "Connected",
  replaced: "Reconnected",
  disconnected: "Disconnected",
  quota_reset: "Quota reset",
  access_token_taken: "Access token taken",
};

/** @param {{entries: Entry[], now: number}} of */
export function History({ entries, now }) {
  return html`<section class="panel">
    <h2>History</h2>
    ${entries.length === 0 && html`<p class="fine">Nothing has happened yet.</p>`}
    <ol class="history">
      ${entries.map(
        (entry) =>
          html`<li key=${entry.at + (entry.attempt_id ?? entry.action)}>
            <${When} at=${entry.at} now=${now} isPast never="" />
            <div>
              <p>${what(entry)}</p>
              <p class="fine">${details(entry)}</p>
            </div>
          </li>`,
      )}
    </ol>
  </section>`;
}

/** @param {Entry} entry */
function what({ action, by, result = "" }) {
  return action
    ? `${ACTIONS[action] ?? inWords(action)} by ${by}`
    : (RESULTS[result] ?? inWords(result));
}

/** @param {string} name */
function inWords(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {Entry} entry */
function details(entry) {
  const end = entry.access_expires_after;
  const parts = [
    end && end !== entry.access_expires_before && `New end: ${exactly(end)}`,
    entry.code && `Code ${entry.code}`,
    entry.http_status && `HTTP ${entry.http_status}`,
    entry.duration_ms !== undefined && `${entry.duration_ms} ms`,
    entry.platform_request_id && `Request ${entry.platform_request_id}`,
  ];
  return parts.filter(Boolean).join(" · ");
}
