// The reader's own notifications.

import { call, get } from "./api.mjs";
import { html } from "./html.mjs";
import { Empty, Failure, Loading, useLive } from "./states.mjs";
import { When } from "./table.mjs";

/** @param {string} org */
const address = (org) => `api/dashboard/${encodeURIComponent(org)}/notifications`;

/** How many are unread, beside the link to them. @param {{org: string}} of */
export function Badge({ org }) {
  const { data } = useLive(() => get(`${address(org)}?unread=true&limit=1`), [org]);
  const count = data?.unread_count ?? 0;
  return html`<a href="dashboard/${encodeURIComponent(org)}/notifications">
    Notifications
    ${count > 0 && html`<span class="badge">${count}<span class="hidden"> unread</span></span>`}
  </a>`;
}

/** @param {{parameters: [string]}} of */
export function Notifications({ parameters: [org] }) {
  const { data, error, reload } = useLive(() => get(`${address(org)}?limit=100`), [org]);
  if (!data) {
    return error
      ? html`<${Failure}
          title="Your notifications could not be loaded."
          error=${error}
          retry=${reload}
        />`
      : html`<${Loading} what="your notifications" />`;
  }
  const read = async (/** @type {string} */ what) => {
    await call("POST", `${address(org)}/${what}`);
    reload();
  };
  const now = Date.now();
  return html`
    <p><a href="dashboard/${encodeURIComponent(org)}">All integrations</a></p>
    <h1>Notifications</h1>
    ${data.unread_count > 0 && html`<p><button type="button" onClick=${() => read("read-all")}>Mark all as read</button></p>`}
    ${data.notifications.length === 0 && html`<${Empty} title="Nothing has happened yet." />`}
    <ul class="notices">
      ${data.notifications.map(
        (/** @type {any} */ of) =>
          html`<li key=${of.notification_id} class=${of.is_read ? "read" : "unread"}>
            <h2><a href=${of.action_url.slice(1)}>${of.title}</a></h2>
            <p>${of.message}</p>
            <p class="fine"><${When} at=${of.created_at} now=${now} never="" /></p>
            ${!of.is_read && html`<button type="button" onClick=${() => read(`${of.notification_id}/read`)}>Mark as read</button>`}
          </li>`,
      )}
    </ul>
  `;
}
