// What a view shows while there is nothing else, and what came of what the reader asked for.

import { html, useEffect, useRef, useState } from "./html.mjs";
import { wasDropped } from "./session.mjs";

/** @param {string} text what the browser calls the page */
export function useTitle(text) {
  useEffect(() => {
    document.title = `${text} · Token Warden`;
  }, [text]);
}

/**
 * What a view shows until it has what it reads: that it loads, or why it cannot.
 * @param {{what: string, error?: any, retry: () => void}} of
 */
export function Pending({ what, error, retry }) {
  if (!error) {
    return html`<p class="loading" role="status">Loading ${what}…</p>`;
  }
  if (error.status === 403) {
    return html`<${Failure} title="You are not a member of this organisation.">
      <p>Whoever owns it can add you.</p>
      <p><a href="./">Your organisations</a></p>
    <//>`;
  }
  const title = error.status === 404 ? "This does not exist." : `Loading ${what} failed.`;
  return html`<${Failure} title=${title} error=${error} retry=${retry} />`;
}

/** That what is shown may have changed since. @param {{error?: any}} of */
export const Stale = ({ error }) =>
  error && html`<p class="notice" role="status">This may be out of date. ${error.message}</p>`;

/** @param {{title: string, children?: unknown}} of */
export const Empty = ({ title, children }) =>
  html`<section class="empty">
    <h2>${title}</h2>
    ${children}
  </section>`;

/** @param {{title: string, error?: any, retry?: () => void, children?: unknown}} of */
export function Failure({ title, error, retry, children }) {
  useTitle(title);
  return html`
    <section class="failure" role="alert">
      <h1>${title}</h1>
      ${error && html`<p>${error.message}</p>`} ${children}
      ${retry && html`<button type="button" onClick=${retry}>Try again</button>`}
      ${error?.requestId && html`<p class="fine">Request ${error.requestId}</p>`}
    </section>
  `;
}

/** @typedef {{text?: string, error?: any}} Outcome */

/**
 * What the reader asks for: one thing at a time, with what came of it.
 * @param {string} [before] what came of what was asked elsewhere
 * @returns {[(act: () => Promise<any>, done?: string) => Promise<void>, Outcome]}
 */
export function useAction(before) {
  const [outcome, setOutcome] = useState(/** @type {Outcome} */ ({ text: before }));
  const isRunning = useRef(false);
  const run = async (/** @type {() => Promise<any>} */ act, done = "") => {
    if (isRunning.current) {
      return;
    }
    isRunning.current = true;
    setOutcome({ text: "Working…" });
    try {
      const answer = await act();
      setOutcome({ text: answer?.message ?? done });
    } catch (error) {
      setOutcome({ error });
    }
    isRunning.current = false;
    dispatchEvent(new Event(ACTED));
  };
  return [run, outcome];
}

/** Always there, so that screen readers hear of what changes in it. @param {Outcome} of */
export const Told = ({ text, error }) =>
  html`<div role="status">
    ${text && html`<p class="notice">${text}</p>`}
    ${
      error &&
      html`<p class="notice failed">
        That did not work. ${error.message}
        ${error.requestId && html`<span class="fine"> Request ${error.requestId}</span>`}
      </p>`
    }
  </div>`;

/** Says once, until the next action, that the one before was lost. */
export function Dropped() {
  const [isShown, setShown] = useState(wasDropped);
  useEffect(() => {
    const hide = () => setShown(false);
    addEventListener(ACTED, hide);
    return () => removeEventListener(ACTED, hide);
  }, []);
  return (
    isShown &&
    html`<p class="notice" role="status">
      You were signed in again. What you pressed was not done: press it once more.
    </p>`
  );
}

/** What the reader did may change everything that is shown. */
const ACTED = "warden:acted";

/** How often a visible page asks again, in milliseconds; a hidden one less and less. */
const INTERVAL = 15_000;
const LONGEST = 10 * 60_000;
/** It pauses at least so many times as long as the answer took: a long list is asked for less. */
const PAUSE = 10;

/**
 * Reads something, and again while the page is open.
 * @template T
 * @param {() => Promise<T>} read
 * @param {unknown[]} of what it depends on
 * @returns {{data: T | undefined, error: any, reload: () => Promise<void>}}
 */
export function useLive(read, of) {
  const [state, setState] = useState(/** @type {{data?: T, error?: any}} */ ({}));
  const again = useRef(async () => {});
  useEffect(() => {
    let wait = INTERVAL;
    let timer = 0;
    let latest = 0;
    const load = async () => {
      clearTimeout(timer);
      latest += 1;
      const turn = latest;
      const began = performance.now();
      /** @type {(before: {data?: T}) => {data?: T, error?: any}} */
      let change;
      try {
        const data = await read();
        change = () => ({ data });
      } catch (error) {
        change = (before) => ({ data: before.data, error });
      }
      if (turn !== latest) {
        return;
      }
      setState(change);
      const least = Math.max(INTERVAL, PAUSE * (performance.now() - began));
      wait = Math.min(document.hidden ? wait * 2 : least, LONGEST);
      timer = setTimeout(load, wait);
    };
    const wake = () => {
      if (!document.hidden) {
        load();
      }
    };
    again.current = load;
    setState({});
    load();
    document.addEventListener("visibilitychange", wake);
    addEventListener("online", wake);
    addEventListener(ACTED, load);
    return () => {
      latest += 1;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", wake);
      removeEventListener("online", wake);
      removeEventListener(ACTED, load);
    };
  }, of);
  return { data: state.data, error: state.error, reload: () => again.current() };
}
