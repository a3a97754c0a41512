// What a view shows while there is nothing else: loading, nothing there, or an error.

import { html, useEffect, useRef, useState } from "./html.mjs";

/** @param {{what: string}} of */
export const Loading = ({ what }) => html`<p class="loading" role="status">Loading ${what}…</p>`;

/** @param {{title: string, children?: unknown}} of */
export const Empty = ({ title, children }) =>
  html`<section class="empty">
    <h2>${title}</h2>
    ${children}
  </section>`;

/** @param {{title: string, error?: any, retry?: () => void}} of */
export function Failure({ title, error, retry }) {
  return html`
    <section class="failure" role="alert">
      <h2>${title}</h2>
      ${error && html`<p>${error.message}</p>`}
      ${retry && html`<button type="button" onClick=${retry}>Try again</button>`}
      ${error?.requestId && html`<p class="fine">Request ${error.requestId}</p>`}
    </section>
  `;
}

/** How often a visible page asks again, in milliseconds; a hidden one less and less. */
const INTERVAL = 15_000;
const LONGEST = 10 * 60_000;

/**
 * Reads something, and again while the page is open.
 * @template T
 * @param {() => Promise<T>} read
 * @param {unknown[]} of what it depends on
 * @returns {{data: T | undefined, error: any, reload: () => void}}
 */
export function useLive(read, of) {
  const [state, setState] = useState(/** @type {{data?: T, error?: any}} */ ({}));
  const again = useRef(() => {});
  useEffect(() => {
    let wait = INTERVAL;
    let timer = 0;
    let isOver = false;
    const load = async () => {
      clearTimeout(timer);
      try {
        const data = await read();
        if (!isOver) {
          setState({ data });
        }
      } catch (error) {
        if (!isOver) {
          setState((before) => ({ ...before, error }));
        }
      }
      wait = document.hidden ? Math.min(wait * 2, LONGEST) : INTERVAL;
      if (!isOver) {
        timer = setTimeout(load, wait);
      }
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
    return () => {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", wake);
      removeEventListener("online", wake);
    };
  }, of);
  return { data: state.data, error: state.error, reload: () => again.current() };
}
