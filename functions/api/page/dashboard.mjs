// One organisation: what must be done, when things end, and all integrations.

import { getAll } from "./api.mjs";
import { html, useMemo } from "./html.mjs";
import { NEEDS, ORDER, chosen, need, needsPerson } from "./integration.mjs";
import { useQuery } from "./router.mjs";
import { Empty, Failure, Loading, useLive } from "./states.mjs";
import { Table } from "./table.mjs";
import { fromNow } from "./time.mjs";
import { Timeline } from "./timeline.mjs";

/** How many cards are shown before the table. */
const MAX_CARDS = 12;

/** @param {{parameters: [string]}} of */
export function Dashboard({ parameters: [org] }) {
  const path = `api/dashboard/${encodeURIComponent(org)}/integrations`;
  const { data: all, error, reload } = useLive(() => getAll(path, "integrations"), [org]);
  const filter = useFilter();
  const shown = useMemo(() => chosen(all ?? [], filter), [all, ...Object.values(filter)]);
  if (!all) {
    return error
      ? html`<${Failure} title=${title(error)} error=${error} retry=${reload} />`
      : html`<${Loading} what="the integrations" />`;
  }
  if (all.length === 0) {
    return html`<${Empty} title="No account is connected yet.">
      <p>Whoever may manage integrations can connect one.</p>
    <//>`;
  }
  const now = Date.now();
  const urgent = chosen(all, { ...filter, need: "" }).filter((of) => needsPerson(need(of)));
  return html`
    ${error && html`<p class="stale" role="status">This may be out of date: ${error.message}</p>`}
    <h1 class="hidden">Integrations of ${org}</h1>
    <${Triage} all=${all} filter=${filter} />
    ${
      urgent.length > 0 &&
      html`<ul class="cards" aria-label="What needs you">
        ${urgent.slice(0, MAX_CARDS).map((of) => html`<${Card} key=${of.integration_id} of=${of} now=${now} />`)}
      </ul>`
    }
    ${urgent.length > MAX_CARDS && html`<p class="fine">${urgent.length - MAX_CARDS} more are in the table.</p>`}
    <${Timeline} all=${all} now=${now} />
    <${Filters} all=${all} filter=${filter} />
    ${
      shown.length === 0
        ? html`<${Empty} title="Nothing matches.">
            <button type="button" onClick=${filter.clear}>Show everything</button>
          <//>`
        : html`<${Table} rows=${shown} now=${now} filter=${filter} />`
    }
  `;
}

/** @param {any} error */
const title = (error) =>
  error.status === 403
    ? "You are not a member of this organisation."
    : "The integrations could not be loaded.";

/** The filter, as the address has it. */
function useFilter() {
  const [needed, setNeed] = useQuery("need");
  const [platform, setPlatform] = useQuery("platform");
  const [text, setText] = useQuery("text");
  const [sort, setSort] = useQuery("sort");
  const clear = () => [setNeed, setPlatform, setText].forEach((set) => set(""));
  return { need: needed, platform, text, sort, setNeed, setPlatform, setText, setSort, clear };
}

/** Counts by what must be done, each of them a filter. @param {any} of */
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

/** One integration that needs a person, with the one thing to do. @param {any} of */
function Card({ of, now }) {
  const { icon, word } = NEEDS[need(of)];
  return html`<li class="card ${need(of)}">
    <p class="fine">
      <span aria-hidden="true">${icon}</span> ${word} · ${of.platform_name ?? "Unknown"}
    </p>
    <h2><a href=${of.url.slice(1)}>${of.username ?? of.integration_id}</a></h2>
    <p>${of.message}</p>
    ${of.reconnect_by && html`<p class="fine">Until ${fromNow(of.reconnect_by, now)}</p>`}
    <a class="button" href=${of.reconnect_url.slice(1)}>Reconnect</a>
  </li>`;
}

/** @param {any} of */
function Filters({ all, filter }) {
  const platforms = useMemo(() => {
    const names = all.filter((/** @type {any} */ of) => of.platform);
    return [
      ...new Map(names.map((/** @type {any} */ of) => [of.platform, of.platform_name])),
    ].sort();
  }, [all]);
  return html`<form
    class="filters"
    role="search"
    onSubmit=${(/** @type {Event} */ e) => e.preventDefault()}
  >
    <label
      >Search
      <input
        type="search"
        value=${filter.text}
        onInput=${(/** @type {any} */ e) => filter.setText(e.target.value)}
    /></label>
    <label>
      Platform
      <select
        value=${filter.platform}
        onChange=${(/** @type {any} */ e) => filter.setPlatform(e.target.value)}
      >
        <option value="">All</option>
        ${platforms.map(([name, shown]) => html`<option key=${name} value=${name}>${shown}</option>`)}
      </select>
    </label>
    <label>
      Sort by
      <select
        value=${filter.sort}
        onChange=${(/** @type {any} */ e) => filter.setSort(e.target.value)}
      >
        <option value="">Most urgent first</option>
        <option value="ends">Soonest end first</option>
        <option value="platform">Platform</option>
        <option value="account">Account</option>
      </select>
    </label>
  </form>`;
}
