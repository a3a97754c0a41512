// All integrations, of which only those in view are drawn.

import { html, useEffect, useRef, useState } from "./html.mjs";
import { NEEDS, brokenSince, endless, isBroken, need } from "./integration.mjs";
import { ago, exactly, fromNow } from "./time.mjs";

/** @typedef {import("./integration.mjs").Integration} Integration */

/** The height of a row, in pixels, until one is drawn. */
const ROW = 44;
/** How many rows beyond the view are drawn. */
const MARGIN = 10;
/** The tables that are drawn whole. */
const SMALL = 200;

/** @param {{rows: Integration[], now: number}} of */
export function Table({ rows, now }) {
  const body = useRef(/** @type {HTMLElement | null} */ (null));
  const { first, last, height } = useVisible(body, rows.length);
  const shown = rows.slice(first, last);
  return html`<div class="scroll" id="table" tabindex="-1">
    <table aria-rowcount=${rows.length + 1}>
      <thead>
        <tr>
          ${["Account", "State", "Platform", "Owner", "Ends", "Last success", "Next attempt"].map(
            (name) => html`<th key=${name} scope="col">${name}</th>`,
          )}
        </tr>
      </thead>
      <tbody ref=${body}>
        <${Gap} height=${first * height} />
        ${shown.map((of, index) => html`<${Row} key=${of.integration_id} of=${of} now=${now} index=${first + index + 2} />`)}
        <${Gap} height=${(rows.length - last) * height} />
      </tbody>
    </table>
  </div>`;
}

/** The place of rows that are not drawn. @param {{height: number}} of */
const Gap = ({ height }) =>
  height > 0 &&
  html`<tr class="gap" aria-hidden="true">
    <td colspan="7" style=${{ height: `${height}px` }}></td>
  </tr>`;

/** @param {{of: Integration, now: number, index: number}} of */
function Row({ of, now, index }) {
  const { icon, word } = NEEDS[need(of)];
  return html`<tr aria-rowindex=${index}>
    <th scope="row"><a href=${of.url.slice(1)}>${of.username ?? of.integration_id}</a></th>
    <td class=${need(of)}><span aria-hidden="true">${icon}</span> ${word}</td>
    <td>${of.platform_name ?? "?"}</td>
    <td>${of.created_by ?? ""}</td>
    <td>
      ${
        isBroken(of)
          ? html`<${Since} of=${of} />`
          : html`<${When} at=${of.reconnect_by} now=${now} never=${endless(of)} />`
      }
    </td>
    <td><${When} at=${of.renewed_at} now=${now} isPast never="–" /></td>
    <td><${When} at=${of.next_attempt_at} now=${now} never="–" /></td>
  </tr>`;
}

/** Since when something is broken, where that is known. @param {{of: Integration}} of */
export function Since({ of }) {
  const at = brokenSince(of);
  return at ? html`Broken since <time datetime=${at}>${exactly(at)}</time>` : html`Broken`;
}

/**
 * An instant: relative, and exact on hover and for screen readers.
 * @param {{at: string | null, now: number, never: string, isPast?: boolean}} of
 */
export function When({ at, now, never, isPast = false }) {
  if (!at) {
    return html`${never}`;
  }
  return html`<time datetime=${at} title=${exactly(at)}
    >${isPast ? ago(at, now) : fromNow(at, now)}<span class="hidden">, ${exactly(at)}</span></time
  >`;
}

/**
 * The rows that are in view, and how high each is.
 * @param {{current: HTMLElement | null}} body
 * @param {number} count
 * @returns {{first: number, last: number, height: number}}
 */
function useVisible(body, count) {
  const [{ first, last, height }, setView] = useState({ first: 0, last: SMALL, height: ROW });
  useEffect(() => {
    const update = () => setView((before) => view(body.current, count, before));
    update();
    if (count <= SMALL) {
      return undefined;
    }
    addEventListener("scroll", update, { passive: true });
    addEventListener("resize", update);
    return () => {
      removeEventListener("scroll", update);
      removeEventListener("resize", update);
    };
  }, [count]);
  return { first: Math.min(first, count), last: Math.min(last, count), height };
}

/**
 * @param {HTMLElement | null} body
 * @param {number} count
 * @param {{first: number, last: number, height: number}} before
 */
function view(body, count, before) {
  if (!body || count <= SMALL) {
    return { ...before, first: 0, last: count };
  }
  const { top } = body.getBoundingClientRect();
  const row = body.querySelector("tr:not(.gap)");
  // Larger letters make higher rows.
  const height = row?.getBoundingClientRect().height || before.height;
  const first = Math.min(count, Math.max(0, Math.floor(-top / height) - MARGIN));
  const last = Math.min(count, Math.max(first, Math.ceil((innerHeight - top) / height) + MARGIN));
  const isSame = first === before.first && last === before.last && height === before.height;
  return isSame ? before : { first, last, height };
}
