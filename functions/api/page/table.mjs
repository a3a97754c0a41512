// All integrations, of which only those in view are drawn.

import { html, useEffect, useRef, useState } from "./html.mjs";
import { NEEDS, need } from "./integration.mjs";
import { exactly, fromNow } from "./time.mjs";

/** @typedef {import("./integration.mjs").Integration} Integration */

/** The height of a row, in pixels: the style's. */
const ROW = 44;
/** How many rows beyond the view are drawn. */
const MARGIN = 10;
/** The tables that are drawn whole. */
const SMALL = 200;

/** @param {{rows: Integration[], now: number}} of */
export function Table({ rows, now }) {
  const body = useRef(/** @type {HTMLElement | null} */ (null));
  const [first, last] = useVisible(body, rows.length);
  const shown = rows.slice(first, last);
  return html`<div class="scroll">
    <table aria-rowcount=${rows.length + 1}>
      <thead>
        <tr>
          ${["Platform", "Account", "Owner", "State", "Until", "Last success", "Next attempt"].map(
            (name) => html`<th key=${name} scope="col">${name}</th>`,
          )}
        </tr>
      </thead>
      <tbody ref=${body}>
        ${
          first > 0 &&
          html`<tr class="gap" aria-hidden="true">
            <td colspan="7" height=${first * ROW}></td>
          </tr>`
        }
        ${shown.map((of, index) => html`<${Row} key=${of.integration_id} of=${of} now=${now} index=${first + index + 2} />`)}
        ${
          last < rows.length &&
          html`<tr class="gap" aria-hidden="true">
            <td colspan="7" height=${(rows.length - last) * ROW}></td>
          </tr>`
        }
      </tbody>
    </table>
  </div>`;
}

/** @param {{of: Integration, now: number, index: number}} of */
function Row({ of, now, index }) {
  const { icon, word } = NEEDS[need(of)];
  return html`<tr aria-rowindex=${index}>
    <td>${of.platform_name ?? "?"}</td>
    <th scope="row"><a href=${of.url.slice(1)}>${of.username ?? of.integration_id}</a></th>
    <td>${of.created_by ?? ""}</td>
    <td class=${need(of)}><span aria-hidden="true">${icon}</span> ${word}</td>
    <td><${When} at=${of.reconnect_by} now=${now} never="No end known" /></td>
    <td><${When} at=${of.renewed_at} now=${now} never="–" /></td>
    <td><${When} at=${of.next_attempt_at} now=${now} never="–" /></td>
  </tr>`;
}

/**
 * An instant: relative, and exact on hover and for screen readers.
 * @param {{at: string | null, now: number, never: string}} of
 */
export function When({ at, now, never }) {
  if (!at) {
    return html`${never}`;
  }
  return html`<time datetime=${at} title=${exactly(at)}
    >${fromNow(at, now)}<span class="hidden">, ${exactly(at)}</span></time
  >`;
}

/**
 * The rows that are in view.
 * @param {{current: HTMLElement | null}} body
 * @param {number} count
 * @returns {[number, number]}
 */
function useVisible(body, count) {
  const [range, setRange] = useState(/** @type {[number, number]} */ ([0, SMALL]));
  useEffect(() => {
    if (count <= SMALL) {
      setRange([0, count]);
      return undefined;
    }
    const update = () => {
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const first = Math.max(0, Math.floor(-top / ROW) - MARGIN);
      const last = Math.min(count, Math.ceil((innerHeight - top) / ROW) + MARGIN);
      setRange(([a, b]) => (a === first && b === last ? [a, b] : [first, Math.max(first, last)]));
    };
    update();
    addEventListener("scroll", update, { passive: true });
    addEventListener("resize", update);
    return () => {
      removeEventListener("scroll", update);
      removeEventListener("resize", update);
    };
  }, [count]);
  return [Math.min(range[0], count), Math.min(range[1], count)];
}
