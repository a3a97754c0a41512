// Who belongs to the organisation, and what they may do.

import { call, getAll } from "./api.mjs";
import { Confirm } from "./confirm.mjs";
import { html, useState } from "./html.mjs";
import { Pending, Stale, Told, useAction, useLive, useTitle } from "./states.mjs";

/** What each permission lets somebody do. @type {[string, string][]} */
const PERMISSIONS = [
  ["manage_integrations", "Connect, mend and disconnect accounts, and get their alerts"],
  ["manage_members", "Add and remove people, and change what they may do"],
  ["use_integrations", "Call the platforms with the accounts: for applications"],
];

/** @typedef {{user_id: string, role: string, permissions: string[]}} Person */
/** @typedef {import("./confirm.mjs").Question} Question */

/** @param {{parameters: [string], organization: import("./organizations.mjs").Organization}} of */
export function Members({ parameters: [org], organization }) {
  const home = `dashboard/${encodeURIComponent(org)}`;
  const path = `api/${home}/members`;
  const { data, error, reload } = useLive(() => getAll(path, "members"), [org]);
  /** @type {Person[] | undefined} */
  const members = data?.members;
  const manages = organization.permissions.includes("manage_members");
  const [run, outcome] = useAction();
  const [question, setQuestion] = useState(/** @type {Question | null} */ (null));
  // What is being saved, until the list has it.
  const [wanted, setWanted] = useState(/** @type {Person | null} */ (null));
  useTitle("Members");
  if (!members) {
    return html`<${Pending} what="the members" error=${error} retry=${reload} />`;
  }
  const one = (/** @type {string} */ user) => `${path}/${encodeURIComponent(user)}`;
  const save = (/** @type {Person} */ member) =>
    run(async () => {
      setWanted(member);
      try {
        await call("PUT", one(member.user_id), { permissions: member.permissions });
        await reload();
      } finally {
        setWanted(null);
      }
    }, `Saved what ${member.user_id} may do.`);
  const add = (/** @type {string} */ user) =>
    run(async () => {
      if (members.some((member) => member.user_id === user)) {
        throw new Error(`${user} is a member already.`);
      }
      await call("PUT", one(user), { permissions: [] });
    }, `${user} is a member now.`);
  const remove = (/** @type {string} */ user) =>
    setQuestion({
      title: `Remove ${user}?`,
      text: `${user} then sees nothing of this organisation any more.`,
      yes: "Remove",
      no: "Keep",
      act: () => run(() => call("DELETE", one(user)), `${user} is no member any more.`),
    });
  return html`
    <${Stale} error=${error} />
    <p><a href=${home}>All integrations</a></p>
    <h1>Members</h1>
    <${Told} ...${outcome} />
    <ul class="cards">
      ${members.map(
        (member) =>
          html`<${Member}
            key=${member.user_id}
            member=${wanted?.user_id === member.user_id ? wanted : member}
            manages=${manages}
            save=${save}
            remove=${remove}
          />`,
      )}
    </ul>
    ${manages && html`<${Add} add=${add} />`}
    ${question && html`<${Confirm} question=${question} close=${() => setQuestion(null)} />`}
  `;
}

/** @param {{member: Person, manages: boolean, save: Function, remove: Function}} of */
function Member({ member, manages, save, remove }) {
  const { user_id: user, role, permissions } = member;
  if (role === "owner") {
    return html`<li class="card">
      <h2>${user}</h2>
      <p class="fine">Owns the organisation, and may do everything.</p>
    </li>`;
  }
  const toggle = (/** @type {string} */ name) => {
    const others = permissions.filter((held) => held !== name);
    const isHeld = others.length < permissions.length;
    save({ ...member, permissions: isHeld ? others : [...permissions, name] });
  };
  return html`<li class="card">
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
            <span>${words}</span>
          </label>`,
      )}
    </fieldset>
    ${manages && html`<button type="button" onClick=${() => remove(user)}>Remove ${user}</button>`}
  </li>`;
}

/** @param {{add: (user: string) => void}} of */
function Add({ add }) {
  const [user, setUser] = useState("");
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    add(user.trim());
    setUser("");
  };
  return html`<form class="filters" onSubmit=${submit}>
    <label>
      User id
      <input
        required
        maxlength="128"
        autocomplete="off"
        value=${user}
        onInput=${(/** @type {any} */ event) => setUser(event.target.value)}
      />
    </label>
    <button>Add a member</button>
  </form>`;
}
