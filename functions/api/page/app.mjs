// The page: who is signed in, and which view the address names.

import { Dashboard } from "./dashboard.mjs";
import { Docs } from "./docs.mjs";
import { html, render, useEffect, useErrorBoundary, useState } from "./html.mjs";
import { Integration } from "./integration_view.mjs";
import { Members } from "./members.mjs";
import { Badge, Notifications } from "./notifications.mjs";
import { Organizations } from "./organizations.mjs";
import { Connect, Reconnect, Refused } from "./reconnect.mjs";
import { current, parts, route, useAddress } from "./router.mjs";
import { begin, signOut } from "./session.mjs";
import { Failure } from "./states.mjs";

/** The views that anybody sees, by their addresses below the document's base. @type {[RegExp, Function][]} */
const OPEN = [
  [/^docs$/, Docs],
  [/^signed-out$/, SignedOut],
];

/** The views for whoever is signed in. @type {[RegExp, Function][]} */
const VIEWS = [
  ...OPEN,
  [/^$/, Organizations],
  [/^dashboard\/([^/]+)$/, Dashboard],
  [/^dashboard\/([^/]+)\/integrations\/([^/]+)$/, Integration],
  [/^dashboard\/([^/]+)\/integrations\/([^/]+)\/reconnect$/, Reconnect],
  [/^dashboard\/([^/]+)\/connect$/, Connect],
  [/^connect$/, Refused],
  [/^dashboard\/([^/]+)\/members$/, Members],
  [/^dashboard\/([^/]+)\/notifications$/, Notifications],
];

function App() {
  const address = useAddress();
  const [view, parameters] = route(VIEWS, address);
  const [org] = parts(/^dashboard\/([^/]+)/, address) ?? [];
  const home = org && `dashboard/${encodeURIComponent(org)}`;
  return html`
    <header class="bar">
      <a href="./" class="name">Token Warden</a>
      <nav aria-label="Organisation">
        ${org && html`<a href="${home}/connect">Connect</a> <a href="${home}/members">Members</a> <${Badge} org=${org} />`}
        <a href="docs">API</a>
        <button type="button" class="quiet" onClick=${signOut}>Sign out</button>
      </nav>
    </header>
    <main id="main" tabindex="-1">
      ${view ? html`<${View} key=${address} view=${view} parameters=${parameters} />` : html`<${Failure} title="There is no such page." />`}
    </main>
  `;
}

/** A view, or that it fails. @param {{view: Function, parameters?: string[]}} of */
function View({ view, parameters }) {
  const [error] = useErrorBoundary((error) => console.error(error));
  return error
    ? html`<${Failure} title="This cannot be shown." retry=${() => location.reload()}>
        <p>It is a fault of this page. If it stays, tell whoever runs Token Warden.</p>
      <//>`
    : html`<${view} parameters=${parameters} />`;
}

function Page() {
  const [ready, setReady] = useState(false);
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  useEffect(() => {
    begin().then((returnTo) => {
      if (returnTo) {
        history.replaceState(null, "", returnTo);
        setReady(true);
      }
    }, setError);
  }, []);
  if (error) {
    return html`<main>
      <${Failure}
        title="You could not be signed in."
        error=${error}
        retry=${() => location.reload()}
      />
    </main>`;
  }
  return ready
    ? html`<${App} />`
    : html`<main><p class="loading" role="status">Signing in…</p></main>`;
}

function SignedOut() {
  return html`
    <h1>You are signed out.</h1>
    <p><a href="./">Sign in again</a></p>
  `;
}

/** @param {{view: Function}} of */
const Anybody = ({ view }) => html`
  <header class="bar"><a href="./" class="name">Token Warden</a></header>
  <main id="main"><${View} view=${view} /></main>
`;

const root = document.getElementById("app");
if (root) {
  const [open] = route(OPEN, current());
  render(open ? html`<${Anybody} view=${open} />` : html`<${Page} />`, root);
}
