// The address, as the views see it.

import { useEffect, useState } from "./html.mjs";

const CHANGED = "warden:address";

/**
 * How far down the page was, by the entry of the history: its state is a name for it, null for
 * the first. A browser would go there before a view has what it shows.
 * @type {Map<string | null, number>}
 */
const depths = new Map();
/** Ends what goes back to a depth, if something does. @type {(() => void) | null} */
let settle = null;

/** Goes down to where this entry was, as soon as the page is as long. */
function goBackDown() {
  const depth = depths.get(history.state) ?? 0;
  const growth = new ResizeObserver(() => {
    scrollTo(0, depth);
    if (scrollY >= Math.floor(depth)) {
      settle?.();
    }
  });
  const ended = new AbortController();
  settle?.();
  settle = () => {
    settle = null;
    growth.disconnect();
    ended.abort();
  };
  // Whoever scrolls in the meantime is where they want to be.
  for (const name of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    addEventListener(name, settle, { signal: ended.signal, passive: true });
  }
  // By then the view is another.
  requestAnimationFrame(() => !ended.signal.aborted && growth.observe(document.body));
}

const noteDepth = () => settle ?? depths.set(history.state, scrollY);

/** The address below the document's base, without its query. */
export function current() {
  const base = new URL(document.baseURI).pathname;
  return location.pathname.slice(base.length).replace(/\/$/, "");
}

/** Follows links within the page, and back and forward. Views see every change of the address. */
export function useAddress() {
  const [{ address }, setAddress] = useState({ address: current() });
  useEffect(() => {
    const update = () => setAddress({ address: current() });
    const follow = (/** @type {MouseEvent} */ event) => {
      const link = event.target instanceof Element && event.target.closest("a[href]");
      const isPlain =
        event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
      // A link in a drawing has no `href` that is a string.
      const href = link ? new URL(link.getAttribute("href") ?? "", document.baseURI).href : "";
      const isFile = link && link.hasAttribute("download");
      if (!isPlain || isFile || !href.startsWith(document.baseURI)) {
        return;
      }
      event.preventDefault();
      go(href);
    };
    history.scrollRestoration = "manual";
    addEventListener("popstate", goBackDown);
    addEventListener("scroll", noteDepth, { passive: true });
    addEventListener("popstate", update);
    addEventListener(CHANGED, update);
    document.addEventListener("click", follow);
    return () => {
      removeEventListener("popstate", goBackDown);
      removeEventListener("scroll", noteDepth);
      removeEventListener("popstate", update);
      removeEventListener(CHANGED, update);
      document.removeEventListener("click", follow);
    };
  }, []);
  return address;
}

/** @param {string} href */
export function go(href) {
  noteDepth();
  history.pushState(crypto.randomUUID(), "", href);
  arrive();
}

/**
 * Goes on without a way back: to where the address before should have led.
 * @param {string} href
 */
export function goOn(href) {
  history.replaceState(history.state, "", href);
  arrive();
}

function arrive() {
  settle?.();
  dispatchEvent(new Event(CHANGED));
  const part = document.getElementById(location.hash.slice(1));
  if (part) {
    part.scrollIntoView();
  } else {
    scrollTo(0, 0);
  }
  (part ?? document.getElementById("main"))?.focus({ preventScroll: true });
}

/**
 * The parts of an address that a pattern names, or null if it is not of that pattern.
 * @param {RegExp} pattern
 * @param {string} address
 * @returns {string[] | null}
 */
export function parts(pattern, address) {
  try {
    return pattern.exec(address)?.slice(1).map(decodeURIComponent) ?? null;
  } catch {
    // Its percent signs stand for no text.
    return null;
  }
}

/**
 * @param {[RegExp, Function][]} views
 * @param {string} address
 * @returns {[Function | null, string[]]}
 */
export function route(views, address) {
  for (const [pattern, view] of views) {
    const found = parts(pattern, address);
    if (found) {
      return [view, found];
    }
  }
  return [null, []];
}

/**
 * Whether the query has something that is to be seen once: it is taken out of the address.
 * @param {string} name
 * @returns {boolean}
 */
export function useOnce(name) {
  const [isThere] = useState(() => {
    const url = new URL(location.href);
    const wasThere = url.searchParams.has(name);
    if (wasThere) {
      url.searchParams.delete(name);
      history.replaceState(history.state, "", url);
    }
    return wasThere;
  });
  return isThere;
}

/**
 * A value in the query, which stays when the page is reloaded or its address is sent on.
 * @param {string} name
 * @returns {[string, (value: string) => void]}
 */
export function useQuery(name) {
  const read = () => new URLSearchParams(location.search).get(name) ?? "";
  const [value, setValue] = useState(read());
  useEffect(() => {
    const update = () => setValue(read());
    addEventListener("popstate", update);
    addEventListener(CHANGED, update);
    return () => {
      removeEventListener("popstate", update);
      removeEventListener(CHANGED, update);
    };
  }, []);
  const set = (/** @type {string} */ changed) => {
    const url = new URL(location.href);
    if (changed) {
      url.searchParams.set(name, changed);
    } else {
      url.searchParams.delete(name);
    }
    history.replaceState(history.state, "", url);
    setValue(changed);
  };
  return [value, set];
}
