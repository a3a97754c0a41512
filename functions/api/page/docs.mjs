// The HTTP API, as its OpenAPI document describes it. It is for anybody, signed in or not.

import { html, useEffect, useState } from "./html.mjs";
import { reach } from "./session.mjs";
import { Pending, useTitle } from "./states.mjs";

/** The members of a path that are operations. */
const METHODS = ["get", "put", "post", "delete", "options", "head", "patch"];

/** @returns {Promise<any>} */
async function read() {
  const response = await reach("openapi.json");
  if (!response.ok) {
    throw new Error(response.statusText);
  }
  return response.json();
}

export function Docs() {
  const [api, setApi] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  useTitle("The HTTP API");
  useEffect(() => {
    read().then(setApi, setError);
  }, []);
  useEffect(() => {
    // What the address names was not there yet when the browser looked for it.
    document.getElementById(location.hash.slice(1))?.scrollIntoView();
  }, [api]);
  if (!api) {
    return html`<${Pending}
      what="the description of the API"
      error=${error}
      retry=${() => location.reload()}
    />`;
  }
  const byTag = Map.groupBy(operations(api), (of) => of.tag);
  const tags = api.tags.map((/** @type {any} */ tag) => tag.name);
  return html`
    <h1>${api.info.title}'s HTTP API</h1>
    <${Prose} text=${api.info.description} />
    <p>
      Version ${api.info.version}, as <a href="openapi.json" download>OpenAPI ${api.openapi}</a>.
      ${" "}<${Prose} text=${api.components.securitySchemes.bearer.description} />
    </p>
    <nav aria-label="Operations">
      <dl class="contents">
        ${tags.map(
          (/** @type {string} */ tag) => html`
            <dt>${tag}</dt>
            <dd>
              <ul>
                ${byTag.get(tag)?.map(
                  (of) =>
                    html`<li>
                      <a href="docs#${of.id}"><code>${of.method} ${of.path}</code></a>
                    </li>`,
                )}
              </ul>
            </dd>
          `,
        )}
      </dl>
    </nav>
    ${tags.map(
      (/** @type {string} */ tag) => html`
        <h2>${tag}</h2>
        ${byTag.get(tag)?.map((of) => html`<${Operation} api=${api} of=${of} />`)}
      `,
    )}
    <h2>Schemas</h2>
    ${Object.entries(api.components.schemas).map(
      ([name, schema]) =>
        html`<section class="panel" id=${name}>
          <h3>${name}</h3>
          <${Schema} schema=${schema} />
        </section>`,
    )}
  `;
}

/** @typedef {{id: string, tag: string, method: string, path: string, operation: any, parameters: any[]}} Described */

/**
 * @param {any} api
 * @returns {Described[]}
 */
function operations(api) {
  return Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => {
      const operation = item[method];
      return {
        id: operation.operationId,
        tag: operation.tags[0],
        method: method.toUpperCase(),
        path,
        operation,
        parameters: [...(item.parameters ?? []), ...(operation.parameters ?? [])],
      };
    }),
  );
}

/** @param {{api: any, of: Described}} of */
function Operation({ api, of: { id, method, path, operation, parameters } }) {
  return html`
    <article class="panel" id=${id}>
      <h3>${operation.summary}</h3>
      <p><code>${method} ${path}</code></p>
      <${Prose} text=${operation.description} />
      <p><${Caller} needed=${operation.security[0].bearer} /></p>
      ${
        parameters.length > 0 &&
        html`<h4>Parameters</h4>
          <dl class="fields">
            ${parameters.map(
              (of) => html`
                <dt><code>${of.name}</code></dt>
                <dd>
                  In the ${of.in}${of.required ? "" : ", optional"}: <${Kind} schema=${of.schema} />
                  <div><${Prose} text=${of.description ?? of.schema.description} /></div>
                </dd>
              `,
            )}
          </dl>`
      }
      ${
        operation.requestBody &&
        html`<h4>Body${operation.requestBody.required ? "" : ", optional"}</h4>
          <${Contents} content=${operation.requestBody.content} />`
      }
      <h4>Answers</h4>
      ${Object.entries(operation.responses).map(([status, answer]) => html`<${Answer} status=${status} answer=${resolve(api, answer)} />`)}
    </article>
  `;
}

/** Who may call. @param {{needed?: string[]}} of */
function Caller({ needed }) {
  if (!needed) {
    return "For anybody, without a token.";
  }
  return needed.length === 0
    ? "Takes a bearer token."
    : html`Takes a bearer token of a member with <code>${needed.join(", ")}</code>.`;
}

/** @param {{status: string, answer: any}} of */
const Answer = ({ status, answer: { description, headers = {}, content = {} } }) => html`
  <details>
    <summary>
      <strong>${status === "default" ? "Any other" : status}</strong>
      <${Prose} text=${description} />
    </summary>
    <dl class="fields">
      ${Object.entries(headers).map(
        ([name, header]) => html`
          <dt><code>${name}</code></dt>
          <dd><${Prose} text=${header.description} /></dd>
        `,
      )}
    </dl>
    <${Contents} content=${content} />
  </details>
`;

/** Bodies by their media types. @param {{content: Record<string, any>}} of */
const Contents = ({ content }) =>
  Object.entries(content).map(
    ([type, { schema = {}, example }]) => html`
      <p><code>${type}</code>: <${Kind} schema=${schema} /></p>
      ${example && html`<pre tabindex="0" aria-label="Example">${JSON.stringify(example, null, 2)}</pre>`}
    `,
  );

/** A schema with what it says of itself. @param {{schema: any}} of */
const Schema = ({ schema }) => html`
  <${Prose} text=${schema.description} />
  <div><${Kind} schema=${schema} /></div>
`;

/** What a value may be. @param {{schema: any}} of @returns {any} */
function Kind({ schema }) {
  const several = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return html`<a href="docs#${name}">${name}</a>`;
  }
  if (several) {
    const between = schema.allOf ? " with " : " or ";
    return several.map(
      (/** @type {any} */ one, /** @type {number} */ index) =>
        html`${index > 0 && between}<${Kind} schema=${one} />`,
    );
  }
  if (schema.enum) {
    return html`<code
      >${schema.enum.map((/** @type {any} */ value) => JSON.stringify(value)).join(" | ")}</code
    >`;
  }
  if (schema.properties) {
    return html`<${Fields} schema=${schema} />`;
  }
  const types = [schema.type ?? "any value"].flat();
  const list = types.includes("array") && html`: each <${Kind} schema=${schema.items ?? {}} />`;
  return html`${types.join(" or ")}${limits(schema)}${list}`;
}

/** @param {{schema: any}} of */
const Fields = ({ schema: { properties, required = [] } }) => html`
  <dl class="fields">
    ${Object.entries(properties).map(
      ([name, of]) => html`
        <dt><code>${name}</code>${!required.includes(name) && html` <small>optional</small>`}</dt>
        <dd><${Schema} schema=${of} /></dd>
      `,
    )}
  </dl>
`;

/** @param {any} schema */
function limits(schema) {
  const said = ["format", "pattern", "minimum", "maximum", "minLength", "maxLength", "default"];
  const found = said.filter((name) => schema[name] !== undefined);
  return found.length > 0 && ` (${found.map((name) => `${name} ${schema[name]}`).join(", ")})`;
}

/**
 * @param {any} api
 * @param {any} answer
 */
const resolve = (api, { $ref, ...answer }) =>
  $ref ? api.components.responses[$ref.split("/").at(-1)] : answer;

/** Text in which backticks mark what is code. @param {{text?: string}} of */
const Prose = ({ text }) =>
  text &&
  html`<span class="prose"
    >${text.split("`").map((part, index) => (index % 2 ? html`<code>${part}</code>` : part))}</span
  >`;
