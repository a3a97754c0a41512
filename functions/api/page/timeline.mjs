// The next 90 days: a mark for what ends, by platform.

import { html } from "./html.mjs";
import { NEEDS, ORDER, ending, need } from "./integration.mjs";
import { exactly, fromNow } from "./time.mjs";

/** @typedef {import("./integration.mjs").Integration} Integration */
/** @typedef {{of: Integration, end: string, away: number}} Ending */
/** @typedef {[Ending, ...Ending[]]} Group what one mark stands for */

const DAYS = 90;
const WIDTH = 900;
const LANE = 22;
const LEFT = 110;
/** How many days one mark is wide, about: what ends closer together is one mark. */
const STEP = 1.75;

const x = (/** @type {number} */ away) => LEFT + (away / DAYS) * (WIDTH - LEFT - 10);
const platformOf = (/** @type {Ending} */ { of }) => of.platform_name ?? "?";

/** @param {{org: string, shown: Integration[]}} of */
export function Timeline({ org, shown }) {
  const now = Date.now();
  const home = `dashboard/${encodeURIComponent(org)}`;
  const endings = ending(shown, DAYS, now);
  if (endings.length === 0) {
    return html`<p class="fine">Nothing ends within ${DAYS} days.</p>`;
  }
  const platforms = [...new Set(endings.map(platformOf))].sort();
  const height = platforms.length * LANE + 30;
  return html`<figure class="timeline">
    <figcaption>What ends within ${DAYS} days</figcaption>
    <svg viewBox="0 0 ${WIDTH} ${height}" role="list" aria-label="What ends, by platform">
      ${[0, 7, 30, 60, 90].map(
        (day) =>
          html`<g key=${day} aria-hidden="true" class="tick">
            <line x1=${x(day)} x2=${x(day)} y1="4" y2=${height - 18} />
            <text x=${x(day)} y=${height - 4} text-anchor=${day === DAYS ? "end" : "middle"}>
              ${day === 0 ? "today" : `${day} d`}
            </text>
          </g>`,
      )}
      ${platforms.map(
        (name, lane) =>
          html`<text key=${name} x="0" y=${lane * LANE + 18} aria-hidden="true">${name}</text>`,
      )}
      ${grouped(endings).map(
        (group) =>
          html`<${Mark}
            key=${group[0].of.integration_id}
            group=${group}
            platforms=${platforms}
            home=${home}
            now=${now}
          />`,
      )}
    </svg>
  </figure>`;
}

/** What ends together, by platform, soonest first. @param {Ending[]} endings */
function grouped(endings) {
  /** @type {Map<string, Group>} */
  const groups = new Map();
  for (const one of endings.toSorted((a, b) => a.away - b.away)) {
    const place = `${platformOf(one)} ${Math.floor(one.away / STEP)}`;
    const group = groups.get(place);
    if (group) {
      group.push(one);
    } else {
      groups.set(place, [one]);
    }
  }
  return [...groups.values()];
}

/** The query with what it asks for already, of one platform and by end. @param {string} platform */
function narrowed(platform) {
  const query = new URLSearchParams(location.search);
  query.set("platform", platform);
  query.set("sort", "ends");
  return query;
}

/** @param {{group: Group, platforms: string[], home: string, now: number}} of */
function Mark({ group, platforms, home, now }) {
  const [first] = group;
  const { of, end, away } = first;
  const y = platforms.indexOf(platformOf(first)) * LANE + 13;
  const isOne = group.length === 1;
  const who = isOne ? (of.username ?? of.integration_id) : `${group.length} accounts`;
  const when = `${isOne ? "ends" : "the first ends"} ${fromNow(end, now)}, ${exactly(end)}`;
  const label = `${who}, ${platformOf(first)}, ${when}`;
  const worst = ORDER.find((name) => group.some((one) => need(one.of) === name)) ?? "healthy";
  return html`<g role="listitem">
    <a
      href=${isOne ? of.url.slice(1) : `${home}?${narrowed(of.platform)}#table`}
      aria-label=${label}
    >
      <title>${label}</title>
      <circle class="mark ${worst}" cx=${x(away)} cy=${y} r=${isOne ? 7 : 9} />
      <text class="sign" x=${x(away)} y=${y + 4} text-anchor="middle" aria-hidden="true">
        ${isOne ? NEEDS[worst].icon : group.length}
      </text>
    </a>
  </g>`;
}
