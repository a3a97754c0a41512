// The reader's own notifications.

import { call, get } from "./api.mjs";
import { html, useRef } from "./html.mjs";
import { Empty, Pending, Stale, Told, useAction, useLive, useTitle } from "./states.mjs";
import { When } from "./table.mjs";

/** @param {string} org */
const address = (org) => `api/dashboard/${encodeURIComponent(org)}/notifications`;

/** How many are unread, beside the link to them. @param {{org: string}} of */
export function Badge({ org }) {
  const { data } = useLive(() => get(`${address(org)}?unread=true&limit=1`), [org]);
  const count = data?.unread_count ?? 0;
  return html`<a href="dashboard/${encodeURIComponent(org)}/notifications">
    Notifications${" "}
    ${count > 0 && html`<span class="badge">${count}<span class="hidden"> unread</span></span>`}
  </a>`;
}

/** @param {{parameters: [string]}} of */
export function Notifications({ parameters: [org] }) {
  const { data, error, reload } = useLive(() => get(`${address(org)}?limit=100`), [org]);
  const [run, outcome] = useAction();
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  useTitle("Notifications");
  if (!data) {
    return html`<${Pending} what="your notifications" error=${error} retry=${reload} />`;
  }
  // What is pressed goes away then; the focus does not.
  const read = (/** @type {string} */ what, /** @type {HTMLElement | null} */ next) =>
    run(async () => {
      const answer = await call("POST", `${address(org)}/${what}`);
      (next ?? heading.current)?.focus();
      return answer;
    });
  const now = Date.now();
  return html`
    <${Stale} error=${error} />
    <p><a href="dashboard/${encodeURIComponent(org)}">All integrations</a></p>
    <h1 ref=${heading} tabindex="-1">Notifications</h1>
    <${Told} ...${outcome} />
    ${
      data.unread_count > 0 &&
      html`<p>
        <button type="button" onClick=${() => read("read-all", null)}>Mark all as read</button>
      </p>`
    }
    ${data.notifications.length === 0 && html`<${Empty} title="Nothing has happened yet." />`}
    <ul class="notices">
      ${data.notifications.map(
        (/** @type {any} */ of) =>
          html`<${Notice} key=${of.notification_id} of=${of} now=${now} read=${read} />`,
      )}
    </ul>
    ${data.next && html`<p class="fine">Older ones are not shown.</p>`}
  `;
}

/** @param {{of: any, now: number, read: (what: string, next: HTMLElement | null) => void}} of */
function Notice({ of, now, read }) {
  const readIt = (/** @type {MouseEvent} */ { currentTarget: pressed }) => {
    const list = document.querySelector(".notices");
    const buttons = [...(list?.querySelectorAll("button") ?? [])];
    const next = buttons[buttons.findIndex((one) => one === pressed) + 1];
    read(`${of.notification_id}/read`, next ?? null);
  };
  return html`<li class="card ${of.is_read ? "read" : of.severity}">
    <h2><a href=${of.action_url.slice(1)}>${of.title}</a></h2>
    <p>${of.message}</p>
    <p class="fine">
      ${!of.is_read && html`<strong>Unread</strong> · `}
      <${When} at=${of.created_at} now=${now} isPast never="" />
    </p>
    ${
      !of.is_read &&
      html`<button type="button" onClick=${readIt}>
        Mark as read<span class="hidden">: ${of.title}</span>
      </button>`
    }
  </li>`;
}
