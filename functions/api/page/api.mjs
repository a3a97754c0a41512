// Calls of the dashboard's API. Addresses are relative: the document's base says where it is.

import { accessToken, reach, renewFor } from "./session.mjs";

/** What went wrong, as the API says it (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   * @param {string | undefined} requestId
   */
  constructor(status, detail, requestId) {
    super(detail);
    this.status = status;
    this.requestId = requestId;
  }
}

/** @typedef {{etag: string, body: unknown}} Known */

/** The last answers to `GET`, by address. @type {Map<string, Known>} */
const known = new Map();
/** The most answers that are kept. */
const CAPACITY = 200;

/** The list that was read last. @type {{pages: any[], whole: any}} */
let latest = { pages: [], whole: null };

/**
 * Sends a request with the caller's token, and once more with a new one if it is refused.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>} what the API answered; null without a body
 */
export async function call(method, path, body) {
  let response = await send(method, path, body);
  if (response.status === 401 && (await renewFor(method))) {
    response = await send(method, path, body);
  }
  const kept = known.get(path);
  if (response.status === 304 && kept) {
    return kept.body;
  }
  const text = await response.text();
  const parsed = parse(text);
  if (!response.ok) {
    throw new Problem(response.status, parsed?.detail ?? response.statusText, parsed?.instance);
  }
  const etag = response.headers.get("etag");
  if (method === "GET" && etag) {
    keep(path, { etag, body: parsed });
  }
  return parsed;
}

/** @param {string} path */
export const get = (path) => call("GET", path);

/**
 * Reads an integration. Some of the API's addresses beside it are none.
 * @param {string} path
 * @param {string} id
 */
export async function getIntegration(path, id) {
  const found = await get(path);
  if (found.integration_id !== id) {
    throw new Problem(404, "No integration has this id.", undefined);
  }
  return found;
}

/**
 * Reads all pages of a list as one. While nothing changes, it is the same object as before.
 * @param {string} path without parameters
 * @param {string} name the member of an answer with the list
 * @returns {Promise<any>} the first page, with the rows of all of them
 */
export async function getAll(path, name) {
  const pages = [];
  let next = null;
  do {
    const query = new URLSearchParams({ limit: "1000", ...(next && { next }) });
    const page = await get(`${path}?${query}`);
    pages.push(page);
    next = page.next;
  } while (next);
  const { pages: before } = latest;
  if (pages.length !== before.length || pages.some((page, index) => page !== before[index])) {
    latest = { pages, whole: { ...pages[0], [name]: pages.flatMap((page) => page[name]) } };
  }
  return latest.whole;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} body
 */
async function send(method, path, body) {
  /** @type {Record<string, string>} */
  const headers = { authorization: `Bearer ${accessToken() ?? ""}` };
  const etag = known.get(path)?.etag;
  if (method === "GET" && etag) {
    headers["if-none-match"] = etag;
  }
  if (body !== undefined) {
    headers["content-type"] = "application/json";
  }
  return reach(path, { method, headers, body: JSON.stringify(body) });
}

/**
 * @param {string} path
 * @param {Known} answer
 */
function keep(path, answer) {
  known.delete(path);
  known.set(path, answer);
  const [oldest] = known.keys();
  if (known.size > CAPACITY && oldest !== undefined) {
    known.delete(oldest);
  }
}

/** @param {string} text */
function parse(text) {
  if (!text) {
    return null;
  }
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
