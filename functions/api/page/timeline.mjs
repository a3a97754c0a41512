// The next 90 days: one mark for each integration that ends, by platform.

import { html } from "./html.mjs";
import { NEEDS, ending, need } from "./integration.mjs";
import { go } from "./router.mjs";
import { exactly, fromNow } from "./time.mjs";

/** @typedef {import("./integration.mjs").Integration} Integration */

const DAYS = 90;
const WIDTH = 900;
const LANE = 22;
const LEFT = 110;

/** @param {{all: Integration[], now: number}} of */
export function Timeline({ all, now }) {
  const marks = ending(all, DAYS, now);
  const platforms = [...new Set(marks.map(({ of }) => of.platform_name ?? "?"))].sort();
  if (marks.length === 0) {
    return html`<p class="fine">Nothing ends within ${DAYS} days.</p>`;
  }
  const height = platforms.length * LANE + 30;
  const x = (/** @type {number} */ away) => LEFT + (away / DAYS) * (WIDTH - LEFT - 10);
  return html`<figure class="timeline">
    <figcaption>What ends within ${DAYS} days</figcaption>
    <svg
      viewBox="0 0 ${WIDTH} ${height}"
      role="list"
      aria-label="Integrations that end within ${DAYS} days"
    >
      ${[0, 7, 30, 60, 90].map(
        (day) =>
          html`<g key=${day} aria-hidden="true" class="tick">
            <line x1=${x(day)} x2=${x(day)} y1="4" y2=${height - 18} />
            <text x=${x(day)} y=${height - 4} text-anchor=${day === DAYS ? "end" : "middle"}
              >${day === 0 ? "today" : `${day} d`}</text
            >
          </g>`,
      )}
      ${platforms.map(
        (name, lane) =>
          html`<text key=${name} class="lane" x="0" y=${lane * LANE + 18} aria-hidden="true"
            >${name}</text
          >`,
      )}
      ${marks.map(({ of, end, away }) => {
        const y = platforms.indexOf(of.platform_name ?? "?") * LANE + 13;
        const label = `${of.username}, ${of.platform_name}, ends ${fromNow(end, now)}, ${exactly(end)}`;
        const open = (/** @type {Event} */ event) => {
          event.preventDefault();
          go(of.url.slice(1));
        };
        return html`<a
          key=${of.integration_id}
          role="listitem"
          href=${of.url.slice(1)}
          onClick=${open}
          aria-label=${label}
        >
          <title>${label}</title>
          <circle class="mark ${need(of)}" cx=${x(away)} cy=${y} r="7" />
          <text class="sign" x=${x(away)} y=${y + 4} text-anchor="middle" aria-hidden="true"
            >${NEEDS[need(of)].icon}</text
          >
        </a>`;
      })}
    </svg>
  </figure>`;
}
