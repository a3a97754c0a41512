// One organisation: what must be done, when things end, and all integrations.

import { getAll } from "./api.mjs";
import { html, useMemo } from "./html.mjs";
import {
  NEEDS,
  ORDER,
  SORTS,
  byUrgency,
  chosen,
  isBroken,
  mend,
  need,
  needsPerson,
} from "./integration.mjs";
import { Way } from "./integration_view.mjs";
import { Managers, isManager } from "./organizations.mjs";
import { useQuery } from "./router.mjs";
import { Empty, Pending, Stale, useLive, useTitle } from "./states.mjs";
import { Since, Table } from "./table.mjs";
import { exactly } from "./time.mjs";
import { Timeline } from "./timeline.mjs";

/** @typedef {import("./integration.mjs").Integration} One */

/** How many cards are shown before the table. */
const MAX_CARDS = 12;

/** @param {{parameters: [string], organization: import("./organizations.mjs").Organization}} of */
export function Dashboard({ parameters: [org], organization }) {
  const path = `api/dashboard/${encodeURIComponent(org)}/integrations`;
  const { data, error, reload } = useLive(() => getAll(path, "integrations"), [org]);
  /** @type {One[] | undefined} */
  const all = data?.integrations;
  const { name, isKnown } = organization;
  const manages = isManager(organization);
  const platforms = useMemo(() => platformsOf(all ?? []), [all]);
  const filter = useFilter(platforms);
  useTitle(name);
  const { need: needed, platform, text, sort } = filter;
  const shown = useMemo(() => chosen(all ?? [], filter), [all, needed, platform, text, sort]);
  if (!all) {
    return html`<${Pending} what="the integrations" error=${error} retry=${reload} />`;
  }
  if (all.length === 0) {
    return html`<h1>${name}</h1>
      <${Empty} title="No account is connected yet.">
        ${manages && html`<a class="button" href="dashboard/${encodeURIComponent(org)}/connect">Connect an account</a>`}
        ${isKnown && !manages && html`<${Managers} />`}
      <//>`;
  }
  return html`
    <${Stale} error=${error} />
    <${Late} since=${data.unchecked_since} />
    <h1>${name}</h1>
    <${Triage} all=${all} filter=${filter} />
    <${Filters} platforms=${platforms} filter=${filter} />
    <p class="fine" role="status">${shown.length} of ${all.length} shown</p>
    ${
      shown.length === 0
        ? html`<${Empty} title="Nothing matches.">
            <button type="button" onClick=${filter.clear}>Show everything</button>
          <//>`
        : html`
            <${Cards} shown=${shown} manages=${manages} />
            <${Timeline} org=${org} shown=${shown} />
            <${Table} rows=${shown} now=${Date.now()} />
          `
    }
  `;
}

/** That nothing is being renewed, if so. @param {{since: string | null}} of */
const Late = ({ since }) =>
  since &&
  html`<p class="notice failed" role="alert">
    Token Warden has not checked these accounts since ${exactly(since)}. Until it does, nothing is
    renewed, and nobody is warned of what ends. Tell whoever runs it.
  </p>`;

/** The platforms of integrations, each with what it is called. @param {One[]} all */
function platformsOf(all) {
  const known = all.filter((of) => of.platform);
  return new Map(known.map((of) => [of.platform, of.platform_name]));
}

/** The filter, as the address has it: of what exists. @param {Map<string, string>} platforms */
function useFilter(platforms) {
  const [needed, setNeed] = useQuery("need");
  const [platform, setPlatform] = useQuery("platform");
  const [text, setText] = useQuery("text");
  const [sort, setSort] = useQuery("sort");
  const clear = () => [setNeed, setPlatform, setText].forEach((set) => set(""));
  return {
    need: ORDER.find((name) => name === needed) ?? "",
    platform: platforms.has(platform) ? platform : "",
    text,
    sort: SORTS.has(sort) ? sort : "",
    setNeed,
    setPlatform,
    setText,
    setSort,
    clear,
  };
}

/** @typedef {ReturnType<typeof useFilter>} Filter */

/** Counts by what must be done, each of them a filter. @param {{all: One[], filter: Filter}} of */
function Triage({ all, filter }) {
  const counts = new Map();
  for (const of of all) {
    counts.set(need(of), (counts.get(need(of)) ?? 0) + 1);
  }
  const known = ORDER.filter((name) => counts.has(name));
  return html`<ul class="triage" aria-label="By what must be done">
    ${known.map((name) => {
      const { icon, count } = NEEDS[name];
      const isOn = filter.need === name;
      return html`<li key=${name}>
        <button
          type="button"
          class="count ${name}"
          aria-pressed=${isOn}
          onClick=${() => filter.setNeed(isOn ? "" : name)}
        >
          <span aria-hidden="true">${icon}</span> ${count(counts.get(name))}
        </button>
      </li>`;
    })}
  </ul>`;
}

/**
 * What needs somebody, most urgent first.
 * @param {{shown: One[], manages: boolean}} of
 */
function Cards({ shown, manages }) {
  const urgent = shown.filter((of) => needsPerson(need(of))).sort(byUrgency);
  if (urgent.length === 0) {
    return null;
  }
  const more = urgent.length - MAX_CARDS;
  return html`<h2 class="hidden">What needs you</h2>
    <ul class="cards">
      ${urgent.slice(0, MAX_CARDS).map((of) => html`<${Card} key=${of.integration_id} of=${of} manages=${manages} />`)}
    </ul>
    ${more > 0 && html`<p class="fine">${more} more are in the table.</p>`}`;
}

/**
 * One integration that needs a person, with the one thing to do for who may do it.
 * @param {{of: One, manages: boolean}} of
 */
function Card({ of, manages }) {
  const { icon, word } = NEEDS[need(of)];
  const name = of.username ?? of.integration_id;
  const first = mend(of);
  return html`<li class="card ${need(of)}">
    <p class="fine">
      <span aria-hidden="true">${icon}</span> ${word} · ${of.platform_name ?? "Unknown"}
    </p>
    <h3><a href=${of.url.slice(1)}>${name}</a></h3>
    <p>${of.message}</p>
    <p class="fine">
      ${
        isBroken(of)
          ? html`<${Since} of=${of} />`
          : of.reconnect_by &&
            html`Ends <time datetime=${of.reconnect_by}>${exactly(of.reconnect_by)}</time>`
      }
    </p>
    ${
      manages &&
      (first
        ? html`<${Way} to=${first}><span class="hidden">: ${name}</span><//>`
        : html`<a class="button" href=${of.url.slice(1)}
            >What to do<span class="hidden">: ${name}</span></a
          >`)
    }
  </li>`;
}

/** @param {{platforms: Map<string, string>, filter: Filter}} of */
function Filters({ platforms, filter }) {
  const sorted = [...platforms].sort(([, a], [, b]) => a.localeCompare(b));
  return html`<form
    class="filters"
    role="search"
    onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}
  >
    <label>
      Search
      <input
        type="search"
        value=${filter.text}
        onInput=${(/** @type {any} */ event) => filter.setText(event.target.value)}
      />
    </label>
    <label>
      Platform
      <select
        value=${filter.platform}
        onChange=${(/** @type {any} */ event) => filter.setPlatform(event.target.value)}
      >
        <option value="">All</option>
        ${sorted.map(([name, shown]) => html`<option key=${name} value=${name}>${shown}</option>`)}
      </select>
    </label>
    <label>
      Sort by
      <select
        value=${filter.sort}
        onChange=${(/** @type {any} */ event) => filter.setSort(event.target.value)}
      >
        <option value="">Most urgent first</option>
        <option value="ends">Soonest end first</option>
        <option value="platform">Platform</option>
        <option value="account">Account</option>
      </select>
    </label>
  </form>`;
}
