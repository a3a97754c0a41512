// Instants in words, relative and exact.

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const exact = new Intl.DateTimeFormat("en-GB", {
  dateStyle: "medium",
  timeStyle: "short",
});

/**
 * How far an instant is away, rounded down: "in 2 days", "3 hours ago".
 * @param {string} at RFC 3339
 * @param {number} now milliseconds since the epoch
 */
export function fromNow(at, now) {
  const away = Date.parse(at) - now;
  const seconds = Math.trunc(away / 1000);
  const distance = Math.abs(seconds);
  if (distance < MINUTE) {
    return away < 0 ? "just now" : "in less than a minute";
  }
  /** @type {[number, Intl.RelativeTimeFormatUnit]} */
  const [length, unit] =
    distance < HOUR ? [MINUTE, "minute"] : distance < 2 * DAY ? [HOUR, "hour"] : [DAY, "day"];
  return relative.format(Math.trunc(seconds / length), unit);
}

/**
 * How long ago something happened, also by a clock that is behind.
 * @param {string} at RFC 3339
 * @param {number} now milliseconds since the epoch
 */
export function ago(at, now) {
  return fromNow(at, Math.max(now, Date.parse(at) + 1));
}

/**
 * An instant in the reader's own time zone.
 * @param {string} at RFC 3339
 */
export function exactly(at) {
  return exact.format(new Date(at));
}

/**
 * A length of time: "hour", "15 minutes".
 * @param {number} seconds
 */
export function span(seconds) {
  const hours = seconds / HOUR;
  const [count, unit] = Number.isInteger(hours) ? [hours, "hour"] : [seconds / MINUTE, "minute"];
  return count === 1 ? unit : `${count} ${unit}s`;
}

/**
 * How many days an instant is away; negative if it is past.
 * @param {string} at RFC 3339
 * @param {number} now milliseconds since the epoch
 */
export function daysFromNow(at, now) {
  return (Date.parse(at) - now) / (DAY * 1000);
}
