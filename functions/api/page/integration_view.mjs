// One integration: why, its clocks, its quota, its history, and what to do.

import { call, get } from "./api.mjs";
import { html, useState } from "./html.mjs";
import { NEEDS, need } from "./integration.mjs";
import { Failure, Loading, useLive } from "./states.mjs";
import { When } from "./table.mjs";

/** @param {{parameters: [string, string]}} of */
export function Integration({ parameters: [org, id] }) {
  const home = `api/dashboard/${encodeURIComponent(org)}`;
  const path = `${home}/integrations/${encodeURIComponent(id)}`;
  const { data: of, error, reload } = useLive(() => get(path), [org, id]);
  const [done, setDone] = useState(/** @type {any} */ (null));
  if (!of) {
    return error
      ? html`<${Failure}
          title="This integration could not be loaded."
          error=${error}
          retry=${reload}
        />`
      : html`<${Loading} what="the integration" />`;
  }
  const now = Date.now();
  const { icon, word } = NEEDS[need(of)];
  const act = async (/** @type {string} */ method, /** @type {string} */ target) => {
    setDone({ text: "Working…" });
    try {
      const answer = await call(method, target);
      setDone({ text: answer?.message ?? "Done." });
    } catch (problem) {
      setDone({ problem });
    }
    reload();
  };
  return html`
    <p><a href="dashboard/${encodeURIComponent(org)}">All integrations</a></p>
    <h1>${of.username ?? id} <small>${of.platform_name}</small></h1>
    <p class="state ${need(of)}"><span aria-hidden="true">${icon}</span> ${word}</p>
    <p class="why">${of.message}</p>
    <p class="actions">
      <a class="button" href=${of.reconnect_url.slice(1)}>Reconnect</a>
      <button type="button" onClick=${() => act("POST", `${path}/check`)}>Check now</button>
    </p>
    ${done && (done.problem ? html`<${Failure} title="That did not work." error=${done.problem} />` : html`<p role="status">${done.text}</p>`)}
    <dl class="clocks">
      ${[
        ["Reconnect by", of.reconnect_by],
        ["Access token ends", of.access_expires_at],
        ["Refresh token ends", of.refresh_expires_at],
        ["Access to data ends", of.data_access_expires_at],
        ["Last success", of.renewed_at],
        ["Next attempt", of.next_attempt_at],
      ].map(
        ([name, at]) =>
          at &&
          html`<div key=${name}>
            <dt>${name}</dt>
            <dd><${When} at=${at} now=${now} /></dd>
          </div>`,
      )}
    </dl>
    <h2>History</h2>
    <ol class="history">
      ${of.history?.map((/** @type {any} */ entry) => html`<li key=${entry.at + (entry.attempt ?? "")}><${When} at=${entry.at} now=${now} /> ${entry.action ?? entry.result ?? ""}</li>`)}
    </ol>
  `;
}
