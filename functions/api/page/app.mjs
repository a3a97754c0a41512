// The page: who is signed in, and which view the address names.

import { Dashboard } from "./dashboard.mjs";
import { Docs } from "./docs.mjs";
import { html, render, useEffect, useErrorBoundary, useState } from "./html.mjs";
import { Integration } from "./integration_view.mjs";
import { Members } from "./members.mjs";
import { Badge, Notifications } from "./notifications.mjs";
import { Organizations, isManager, useOrganization } from "./organizations.mjs";
import { Connect, Reconnect, Returned } from "./reconnect.mjs";
import { current, parts, route, useAddress } from "./router.mjs";
import { begin, signOut } from "./session.mjs";
import { Dropped, Failure } from "./states.mjs";

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
  [/^connect$/, Returned],
  [/^dashboard\/([^/]+)\/members$/, Members],
  [/^dashboard\/([^/]+)\/notifications$/, Notifications],
];

function App() {
  const address = useAddress();
  const [view, parameters] = route(VIEWS, address);
  const [org = ""] = parts(/^dashboard\/([^/]+)/, address) ?? [];
  const organization = useOrganization(org);
  return html`
    <header class="bar">
      <a href="./" class="name">Token Warden</a>
      <nav aria-label="Organisation">
        ${org && html`<${Ways} org=${org} organization=${organization} />`}
        <a href="docs">API</a>
        <button type="button" class="quiet" onClick=${signOut}>Sign out</button>
      </nav>
    </header>
    <main id="main" tabindex="-1">
      <${Dropped} key=${`dropped ${address}`} />
      ${
        view
          ? html`<${View}
              key=${address}
              view=${view}
              parameters=${parameters}
              organization=${organization}
            />`
          : html`<${Failure} title="There is no such page." />`
      }
    </main>
  `;
}

/**
 * The ways through an organisation.
 * @param {{org: string, organization: import("./organizations.mjs").Organization}} of
 */
function Ways({ org, organization }) {
  const home = `dashboard/${encodeURIComponent(org)}`;
  return html`
    ${organization.isKnown && html`<a href=${home}>${organization.name}</a>`}
    ${isManager(organization) && html`<a href="${home}/connect">Connect</a>`}
    <a href="${home}/members">Members</a>
    <${Badge} org=${org} />
  `;
}

/** A view, or that it fails. @param {{view: Function}} of with what the view takes */
function View({ view, ...rest }) {
  const [error] = useErrorBoundary((error) => console.error(error));
  return error
    ? html`<${Failure} title="This cannot be shown." retry=${() => location.reload()}>
        <p>It is a fault of this page. If it stays, tell whoever runs Token Warden.</p>
      <//>`
    : html`<${view} ...${rest} />`;
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
