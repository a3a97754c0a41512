// One integration: why, its clocks, its quota, its history, and what to do.

import { call, getIntegration } from "./api.mjs";
import { Confirm } from "./confirm.mjs";
import { History } from "./history.mjs";
import { html, useRef, useState } from "./html.mjs";
import { NEEDS, isBroken, mend, need } from "./integration.mjs";
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

/** @param {One} of @returns {[string, string | null, boolean][]} */
const ends = (of) => [
  ["Reconnect by", of.reconnect_by, false],
  ["Access token ends", of.access_expires_at, false],
  ["Refresh token ends", of.refresh_expires_at, false],
  ["Access to data ends", of.data_access_expires_at, false],
];

/** @param {{of: One, now: number}} of */
function Clocks({ of, now }) {
  const isOff = need(of) === "off";
  /** @type {[string, string | null, boolean][]} with whether it is past */
  const clocks = [
    ["Disconnected", isOff ? of.since : null, true],
    ...(isOff || isBroken(of) ? [] : ends(of)),
    ["Last success", of.renewed_at, true],
    ["Next attempt", of.next_attempt_at, false],
  ];
  const known = clocks.filter(([, at]) => at);
  return (
    known.length > 0 &&
    html`<dl class="clocks">
      ${known.map(
        ([name, at, isPast]) =>
          html`<div key=${name}>
            <dt>${name}</dt>
            <dd><${When} at=${at} now=${now} isPast=${isPast} never="" /></dd>
          </div>`,
      )}
    </dl>`
  );
}

/** What mends it first, then the rest. @param {{of: One, path: string, run: Function}} of */
function Actions({ of, path, run }) {
  const [question, setQuestion] = useState(/** @type {Question | null} */ (null));
  const isOff = need(of) === "off";
  const first = mend(of);
  const checkNow = () => run(() => call("POST", `${path}/check`));
  const check =
    !isOff && html`<button key="check" type="button" onClick=${checkNow}>Check now</button>`;
  const reconnect = html`<a key="reconnect" class="button" href=${of.reconnect_url.slice(1)}>
    Reconnect
  </a>`;
  // Whoever must act has something better to press first.
  const isCheckLast = need(of) === "act" && first;
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
  const entries = questions
    .filter((of) => of !== false)
    .map((of) => ({ text: `${of.yes}…`, act: () => setQuestion(of) }));
  if (isCheckLast) {
    entries.unshift({ text: "Check now", act: checkNow });
  }
  return html`<div class="actions">
    ${first && html`<${Way} key="first" to=${first} />`} ${!isCheckLast && check}
    ${(!first || first.isElsewhere) && reconnect}
    <${Menu} entries=${entries} />
    ${question && html`<${Confirm} question=${question} close=${() => setQuestion(null)} />`}
  </div>`;
}

/** @param {{entries: {text: string, act: () => void}[]}} of */
function Menu({ entries }) {
  const menu = useRef(/** @type {HTMLElement | null} */ (null));
  const choose = (/** @type {() => void} */ act) => {
    // First, so that the focus comes back to what opened the menu.
    menu.current?.hidePopover();
    act();
  };
  return html`<button type="button" popovertarget="more" class="more">More</button>
    <div id="more" popover="auto" ref=${menu} class="menu">
      ${entries.map(
        ({ text, act }) =>
          html`<button key=${text} type="button" onClick=${() => choose(act)}>${text}</button>`,
      )}
    </div>`;
}

/**
 * A link to where somebody begins to mend an integration.
 * @param {{to: {text: string, href: string, isElsewhere: boolean}, children?: unknown}} of
 */
export const Way = ({ to: { text, href, isElsewhere }, children }) =>
  html`<a
    class="button"
    href=${href}
    target=${isElsewhere ? "_blank" : undefined}
    rel=${isElsewhere ? "noreferrer" : undefined}
    >${text}${children}</a
  >`;
