// Who belongs to the organisation, and what they may do.

import { call, get, getAll } from "./api.mjs";
import { html, useState } from "./html.mjs";
import { Failure, Loading, useLive } from "./states.mjs";

/** What each permission lets somebody do. @type {[string, string][]} */
const PERMISSIONS = [
  ["manage_integrations", "Connect, mend and disconnect accounts, and get their alerts"],
  ["manage_members", "Add and remove people, and change what they may do"],
  ["use_integrations", "Call the platforms with the accounts: for applications"],
];

/** @param {{parameters: [string]}} of */
export function Members({ parameters: [org] }) {
  const path = `api/dashboard/${encodeURIComponent(org)}/members`;
  const { data, error, reload } = useLive(
    async () => ({ members: await getAll(path, "members"), all: await get("api/organizations") }),
    [org],
  );
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  if (!data) {
    return error
      ? html`<${Failure} title="The members could not be loaded." error=${error} retry=${reload} />`
      : html`<${Loading} what="the members" />`;
  }
  const mine = data.all.organizations.find((/** @type {any} */ of) => of.org_id === org);
  const manages = mine?.permissions.includes("manage_members");
  const save = async (/** @type {string} */ user, /** @type {string[] | null} */ permissions) => {
    const one = `${path}/${encodeURIComponent(user)}`;
    try {
      await (permissions ? call("PUT", one, { permissions }) : call("DELETE", one));
      setProblem(null);
    } catch (refused) {
      setProblem(refused);
    }
    reload();
  };
  return html`
    <p><a href="dashboard/${encodeURIComponent(org)}">All integrations</a></p>
    <h1>Members</h1>
    ${problem && html`<${Failure} title="That was not saved." error=${problem} />`}
    <ul class="members">
      ${data.members.map((/** @type {any} */ member) => html`<${Person} key=${member.user_id} member=${member} manages=${manages} save=${save} />`)}
    </ul>
    ${manages && html`<${Add} save=${save} />`}
  `;
}

/** @param {any} of */
function Person({ member, manages, save }) {
  const { user_id: user, role, permissions } = member;
  if (role === "owner") {
    return html`<li>
      <h2>${user}</h2>
      <p class="fine">Owns the organisation, and may do everything.</p>
    </li>`;
  }
  const toggle = (/** @type {string} */ name) => {
    const isHeld = permissions.includes(name);
    save(
      user,
      isHeld
        ? permissions.filter((/** @type {string} */ held) => held !== name)
        : [...permissions, name],
    );
  };
  const remove = () => confirm(`Remove ${user} from this organisation?`) && save(user, null);
  return html`<li>
    <h2>${user}</h2>
    <fieldset disabled=${!manages}>
      <legend class="hidden">What ${user} may do</legend>
      ${PERMISSIONS.map(
        ([name, words]) =>
          html`<label key=${name}>
            <input
              type="checkbox"
              checked=${permissions.includes(name)}
              onChange=${() => toggle(name)}
            />
            ${words}
          </label>`,
      )}
    </fieldset>
    ${manages && html`<button type="button" onClick=${remove}>Remove ${user}</button>`}
  </li>`;
}

/** @param {any} of */
function Add({ save }) {
  const [user, setUser] = useState("");
  const add = (/** @type {Event} */ event) => {
    event.preventDefault();
    save(user.trim(), []);
    setUser("");
  };
  return html`<form class="filters" onSubmit=${add}>
    <label
      >User id
      <input
        required
        maxlength="128"
        value=${user}
        onInput=${(/** @type {any} */ e) => setUser(e.target.value)}
    /></label>
    <button>Add a member</button>
  </form>`;
}
