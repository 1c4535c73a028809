// Parts that both pages are made of. Their words are given by the page: this folder has none.
import { html, useId, useLayoutEffect, useRef, useState } from "./ui.js";

const ICONS = {
  alert: "M12 4l9 16H3zM12 10v4M12 17h.01",
  back: "M14.5 5.5L8 12l6.5 6.5",
  check: "M5 12.5l4.5 4.5L19 7.5",
  copy: "M9 9h10v10H9zM5 15V5h10",
  down: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
  image: "M4 5h16v14H4zM4 16l4.5-4.5L13 16l3-3 4 4M15.5 9.5h.01",
  out: "M8 6h10v10M18 6L6 18",
  play: "M8 5.5v13l10.5-6.5z",
  search: "M11 4.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM16 16l4.5 4.5",
  video: "M3 6h12v12H3zM15 10.5l6-3.5v10l-6-3.5z",
};

/** A small drawing that says nothing to a screen reader. */
export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${ICONS[name]} /></svg>
`;

/** A short label; `tone` is one of brand, good, warn, bad, lost. */
export const Badge = ({ tone = null, children, ...rest }) => html`
  <span class="badge" data-tone=${tone} ...${rest}>${children}</span>
`;

/** A paragraph that somebody should read; `tone` as of a badge. */
export const Note = ({ tone = "warn", children, ...rest }) => html`
  <p class="note" data-tone=${tone} ...${rest}><${Icon} name="alert" /><span>${children}</span></p>
`;

/** A switch with its words beside it, or with a name that is only heard. */
export const Switch = ({
  on,
  change,
  label = null,
  name = null,
  wide = false,
  disabled = false,
  why = null,
}) => html`
  <button
    type="button" class=${wide ? "switch wide" : "switch"} role="switch" aria-checked=${on ? "true" : "false"}
    aria-label=${name} disabled=${disabled} title=${disabled ? why : null} onClick=${() => change(!on)}
  ><i></i>${label && html`<span>${label}</span>`}</button>
`;

/** A label above what it is for, which is made by a function of its id. */
export function Field({ label, children, wide = false }) {
  const id = useId();
  return html`<div class=${wide ? "field wide" : "field"}>
    <label for=${id}>${label}</label>${children(id)}
  </div>`;
}

/** What stands where there is nothing else: a title, a text, or both. */
export const Empty = ({ title = null, children, ...rest }) => html`
  <div class="empty" ...${rest}>${title && html`<h2>${title}</h2>`}${children && html`<p>${children}</p>`}</div>
`;

/** The content of a template: its signature and its text. */
export const Content = ({ signature, text }) => html`${signature && html`<b>【${signature}】</b>`}${text}`;

/** What has just been done or gone wrong, {text, wrong}; null: nothing. */
export const Said = ({ said, close, name }) => html`
  <div class="said" role="status" aria-live="polite">
    ${
      said &&
      html`<p class=${said.wrong ? "wrong" : null}>
        <${Icon} name=${said.wrong ? "alert" : "check"} /><span>${said.text}</span>
        <button type="button" class="copy" aria-label=${name} onClick=${close}>×</button>
      </p>`
    }
  </div>
`;

/**
 * Ask before something that cannot be undone or may bill: {title, text, yes, no, grave}, and {field, value,
 * input} for an answer that is typed. `close` is called with true or what was typed, else with null.
 */
export function Question({ question, close }) {
  const dialog = useRef(null);
  const [value, setValue] = useState(question.value ?? "");
  const id = useId();
  // Before anything else happens: an Escape that follows the click at once is an answer to it.
  useLayoutEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  const answer = (event) => {
    event.preventDefault();
    close(question.field ? value : true);
  };
  return html`
    <dialog ref=${dialog} aria-labelledby=${id} onClose=${() => close(null)}>
      <form onSubmit=${answer}>
        <h2 id=${id}>${question.title}</h2>
        ${question.text && html`<p>${question.text}</p>`}
        ${
          question.field &&
          html`<${Field} label=${question.field} wide>
            ${(field) => html`<input
              id=${field} ...${question.input} value=${value} onInput=${(event) => setValue(event.target.value)}
            />`}
          <//>`
        }
        <div class="row end">
          <button type="button" class="button" onClick=${() => dialog.current.close()}>${question.no}</button>
          <button type="submit" class=${`button ${question.grave ? "danger" : "main"}`}>${question.yes}</button>
        </div>
      </form>
    </dialog>
  `;
}
