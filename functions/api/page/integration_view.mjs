// One integration: why, its clocks, its quota, its history, and what to do.

import { call, getIntegration } from "./api.mjs";
import { Confirm } from "./confirm.mjs";
import { History } from "./history.mjs";
import { html, useRef, useState } from "./html.mjs";
import { NEEDS, isBroken, need } from "./integration.mjs";
import { Managers, isManager } from "./organizations.mjs";
import { Quota } from "./quota.mjs";
import { useOnce } from "./router.mjs";
import { Pending, Stale, Told, useAction, useLive, useTitle } from "./states.mjs";
import { Since, When } from "./table.mjs";

/** @typedef {import("./integration.mjs").Integration} One */
/** @typedef {import("./confirm.mjs").Question} Question */

/** @param {{parameters: [string, string], organization: import("./organizations.mjs").Organization}} of */
export function Integration({ parameters: [org, id], organization }) {
  const home = `dashboard/${encodeURIComponent(org)}`;
  const path = `api/${home}/integrations/${encodeURIComponent(id)}`;
  const { data: of, error, reload } = useLive(() => getIntegration(path, id), [org, id]);
  const [run, outcome] = useAction(useOnce("connected") ? "The account is connected." : "");
  useTitle(of?.username ?? id);
  if (!of) {
    return html`<${Pending} what="the integration" error=${error} retry=${reload} />`;
  }
  const { icon, word } = NEEDS[need(of)];
  const now = Date.now();
  return html`
    <${Stale} error=${error} />
    <p><a href=${home}>All integrations</a></p>
    <${Told} ...${outcome} />
    <h1>${of.username ?? id} <small>${of.platform_name}</small></h1>
    <p class="state ${need(of)}"><span aria-hidden="true">${icon}</span> ${word}</p>
    <p class="why">${of.message}</p>
    ${isBroken(of) && html`<p><${Since} of=${of} /></p>`}
    ${
      isManager(organization)
        ? html`<${Actions} of=${of} path=${path} run=${run} />`
        : organization.isKnown && html`<${Managers} />`
    }
    <${Clocks} of=${of} now=${now} />
    <${Quota} org=${org} id=${id} />
    ${of.history && html`<${History} entries=${of.history} now=${now} />`}
  `;
}

/** @param {{of: One, now: number}} of */
function Clocks({ of, now }) {
  /** @type {[string, string | null][]} */
  const clocks = isBroken(of)
    ? []
    : [
        ["Disconnected", need(of) === "off" ? of.since : null],
        ["Reconnect by", of.reconnect_by],
        ["Access token ends", of.access_expires_at],
        ["Refresh token ends", of.refresh_expires_at],
        ["Access to data ends", of.data_access_expires_at],
      ];
  clocks.push(["Last success", of.renewed_at], ["Next attempt", of.next_attempt_at]);
  const known = clocks.filter(([, at]) => at);
  return (
    known.length > 0 &&
    html`<dl class="clocks">
      ${known.map(
        ([name, at]) =>
          html`<div key=${name}>
            <dt>${name}</dt>
            <dd><${When} at=${at} now=${now} never="" /></dd>
          </div>`,
      )}
    </dl>`
  );
}

/** What mends it first, then the rest. @param {{of: One, path: string, run: Function}} of */
function Actions({ of, path, run }) {
  const [question, setQuestion] = useState(/** @type {Question | null} */ (null));
  const isOff = need(of) === "off";
  const reconnects = ["reconnect", "ends", "off"].includes(need(of));
  const reconnect = html`<a key="reconnect" class="button" href=${of.reconnect_url.slice(1)}>
    ${isOff ? "Connect again" : "Reconnect"}
  </a>`;
  const check =
    !isOff &&
    html`<button
      key="check"
      type="button"
      onClick=${() => run(() => call("POST", `${path}/check`))}
    >
      Check now
    </button>`;
  const questions = [
    !isOff && {
      title: "Disconnect this account?",
      text: "Its tokens are erased. Nothing works with it until somebody connects it again.",
      yes: "Disconnect",
      no: "Keep it",
      act: () => run(() => call("DELETE", path), "It is disconnected."),
    },
    {
      title: "Reset its quota?",
      text: "The calls it has made are forgotten here, but not by the platform.",
      yes: "Reset quota",
      no: "Leave it",
      act: () => run(() => call("DELETE", `${path}/rate-limit`), "Its quota is whole again."),
    },
  ];
  return html`<div class="actions">
    ${reconnects ? [reconnect, check] : [check, reconnect]}
    <${Menu} questions=${questions.filter(Boolean)} ask=${setQuestion} />
    ${question && html`<${Confirm} question=${question} close=${() => setQuestion(null)} />`}
  </div>`;
}

/** @param {{questions: Question[], ask: (question: Question) => void}} of */
function Menu({ questions, ask }) {
  const menu = useRef(/** @type {HTMLElement | null} */ (null));
  const choose = (/** @type {Question} */ question) => {
    // First, so that the focus comes back to what opened the menu.
    menu.current?.hidePopover();
    ask(question);
  };
  return html`<button type="button" popovertarget="more" class="more">More</button>
    <div id="more" popover="auto" ref=${menu} class="menu">
      ${questions.map(
        (question) =>
          html`<button key=${question.yes} type="button" onClick=${() => choose(question)}>
            ${question.yes}…
          </button>`,
      )}
    </div>`;
}
