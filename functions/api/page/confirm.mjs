// Asks before something that cannot be undone.

import { html, useEffect, useRef } from "./html.mjs";

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text what it means
 * @property {string} yes
 * @property {string} no
 * @property {() => void} act
 */

/** @param {{question: Question, close: () => void}} of */
export function Confirm({ question: { title, text, yes, no, act }, close }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => dialog.current?.showModal(), []);
  const agree = () => {
    dialog.current?.close();
    act();
  };
  return html`<dialog ref=${dialog} aria-labelledby="question" onClose=${close}>
    <h2 id="question">${title}</h2>
    <p>${text}</p>
    <div class="actions">
      <button type="button" onClick=${() => dialog.current?.close()}>${no}</button>
      <button type="button" class="danger" onClick=${agree}>${yes}</button>
    </div>
  </dialog>`;
}
