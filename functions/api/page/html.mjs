// The view library: Preact, with htm for its templates.

import htm from "./vendor/htm.mjs";
import { h } from "./vendor/preact.mjs";

export {
  useCallback,
  useEffect,
  useErrorBoundary,
  useMemo,
  useRef,
  useState,
} from "./vendor/hooks.mjs";
export { render } from "./vendor/preact.mjs";

export const html = htm.bind(h);
