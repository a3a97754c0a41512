// What the page knows of integrations, without drawing anything.

import { daysFromNow } from "./time.mjs";

/**
 * @typedef {object} Integration as `GET .../integrations` has it
 * @property {string} integration_id
 * @property {string} platform
 * @property {string} platform_name
 * @property {string} username
 * @property {string} account_id
 * @property {string} created_by
 * @property {string} refresh_model
 * @property {string} status
 * @property {string} state
 * @property {string | null} since
 * @property {string | null} reason
 * @property {string} message
 * @property {string | null} severity
 * @property {string | null} access_expires_at
 * @property {string | null} refresh_expires_at
 * @property {string | null} data_access_expires_at
 * @property {string | null} reconnect_by
 * @property {string | null} next_attempt_at
 * @property {string | null} renewed_at
 * @property {string[]} missing_scopes
 * @property {string} url
 * @property {string} reconnect_url
 */

/**
 * @typedef {"reconnect" | "act" | "ends" | "limited" | "retrying" | "healthy" | "off"} Need
 * What must be done about an integration, most urgent first.
 */

/** @type {Record<Need, {icon: string, word: string, count: (n: number) => string}>} */
export const NEEDS = {
  reconnect: {
    icon: "✕",
    word: "Reconnect",
    count: (n) => `${n} ${n === 1 ? "needs" : "need"} reconnecting`,
  },
  act: {
    icon: "!",
    word: "Act first",
    count: (n) => `${n} ${n === 1 ? "needs" : "need"} you to act`,
  },
  ends: {
    icon: "◔",
    word: "Ends soon",
    count: (n) => `${n} ${n === 1 ? "ends" : "end"} within 7 days`,
  },
  limited: { icon: "◐", word: "Lost permissions", count: (n) => `${n} lost permissions` },
  retrying: { icon: "↻", word: "Retrying", count: (n) => `${n} retrying` },
  healthy: { icon: "✓", word: "Healthy", count: (n) => `${n} healthy` },
  off: { icon: "–", word: "Disconnected", count: (n) => `${n} disconnected` },
};

/** @type {Need[]} */
export const ORDER = ["reconnect", "act", "ends", "limited", "retrying", "healthy", "off"];

/**
 * @param {Integration} of
 * @returns {Need}
 */
export function need(of) {
  switch (of.status) {
    case "broken":
      return of.state === "platform_action_required" ? "act" : "reconnect";
    case "expiring":
      return "ends";
    case "failing":
      return "retrying";
    case "disconnected":
      return "off";
    default:
      return of.missing_scopes.length > 0 ? "limited" : "healthy";
  }
}

/** @param {Need} of */
export const needsPerson = (of) => ["reconnect", "act", "ends", "limited"].includes(of);

/** Where people act at a platform: what that is called, and its address. @type {Map<string, [string, string]>} */
const PLACES = new Map([
  ["meta", ["Facebook", "https://www.facebook.com/"]],
  ["instagram", ["Instagram", "https://www.instagram.com/"]],
  ["threads", ["Threads", "https://www.threads.com/"]],
  ["google", ["your Google account", "https://myaccount.google.com/"]],
  ["twitter", ["X’s developer console", "https://developer.x.com/"]],
]);

/**
 * Where a person begins to mend it; null if nobody need, or another must.
 * @param {Integration} of
 * @returns {{text: string, href: string, isElsewhere: boolean} | null}
 */
export function mend(of) {
  const href = of.reconnect_url.slice(1);
  if (need(of) === "off") {
    return { text: "Connect again", href, isElsewhere: false };
  }
  if (!needsPerson(need(of))) {
    return null;
  }
  // Of all that a platform wants, a new sign-in alone is what reconnecting does.
  if (need(of) !== "act" || of.reason === "administrator_policy") {
    return { text: "Reconnect", href, isElsewhere: false };
  }
  const place = PLACES.get(of.platform);
  if (!place || of.reason === "administrator_approval") {
    return null;
  }
  return { text: `Open ${place[0]}`, href: place[1], isElsewhere: true };
}

/** @param {Integration} of */
export const isBroken = (of) => of.status === "broken";

/** Since when it is broken; what has expired is so since its end. @param {Integration} of */
export const brokenSince = (of) => of.since ?? of.reconnect_by;

/**
 * What stands for the end of what has none.
 * @param {Integration} of
 */
export function endless(of) {
  if (need(of) === "off") {
    return "–";
  }
  const lives = need(of) === "healthy" || need(of) === "limited";
  return lives && of.refresh_model !== "none" ? "Renews itself" : "No end known";
}

/** @param {string} a @param {string} b */
const compare = (a, b) => (a < b ? -1 : Number(a > b));

/** When it ends, to sort by: what is broken has ended. @param {Integration} of */
const end = (of) => (isBroken(of) ? "" : (of.reconnect_by ?? "9"));

/**
 * Broken first, then whichever ends soonest.
 * @param {Integration} a
 * @param {Integration} b
 */
export function byUrgency(a, b) {
  const rank = (/** @type {Integration} */ of) => ORDER.indexOf(need(of));
  return (
    rank(a) - rank(b) || compare(end(a), end(b)) || compare(a.integration_id, b.integration_id)
  );
}

/** @typedef {{need: string, platform: string, text: string, sort: string}} Filter */

/**
 * @param {Integration[]} all
 * @param {Filter} filter
 */
export function chosen(all, filter) {
  const text = filter.text.trim().toLowerCase();
  const has = (/** @type {string | undefined} */ value) =>
    (value ?? "").toLowerCase().includes(text);
  const found = all.filter(
    (of) =>
      (!filter.need || need(of) === filter.need) &&
      (!filter.platform || of.platform === filter.platform) &&
      (!text ||
        [of.username, of.account_id, of.integration_id, of.created_by, of.platform_name].some(has)),
  );
  return found.sort(SORTS.get(filter.sort) ?? byUrgency);
}

/** The orders but the first. @type {Map<string, (a: Integration, b: Integration) => number>} */
export const SORTS = new Map([
  ["ends", (a, b) => compare(end(a), end(b)) || byUrgency(a, b)],
  ["platform", (a, b) => compare(a.platform_name ?? "", b.platform_name ?? "") || byUrgency(a, b)],
  ["account", (a, b) => compare(a.username ?? "", b.username ?? "") || byUrgency(a, b)],
]);

/**
 * Those that end within so many days, with how far away that is.
 * @param {Integration[]} all
 * @param {number} days
 * @param {number} now
 */
export function ending(all, days, now) {
  const marks = [];
  for (const of of all) {
    if (!of.reconnect_by || isBroken(of) || need(of) === "off") {
      continue;
    }
    const away = daysFromNow(of.reconnect_by, now);
    if (away <= days) {
      marks.push({ of, end: of.reconnect_by, away: Math.max(away, 0) });
    }
  }
  return marks;
}
