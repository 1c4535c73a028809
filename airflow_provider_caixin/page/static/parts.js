// Small parts that every view uses.
import { createContext, html, useContext, useEffect, useId, useRef, useState } from "./ui.js";
import { follow, signIn } from "./frame.js";
import { count, percent, precise } from "./format.js";
import { known, t } from "./words.js";

/** {session, ledger, say(text), ask({...}) -> Promise<bool>} */
export const Page = createContext(null);
export const usePage = () => useContext(Page);

const ICONS = {
  copy: "M9 9h10v10H9zM5 15V5h10",
  check: "M5 12.5l4.5 4.5L19 7.5",
  play: "M8 5.5v13l10.5-6.5z",
  image: "M4 5h16v14H4zM4 16l4.5-4.5L13 16l3-3 4 4M15.5 9.5h.01",
  alert: "M12 4l9 16H3zM12 10v4M12 17h.01",
  clock: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 7.5V12l3 2",
  out: "M8 6h10v10M18 6L6 18",
  down: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
  back: "M14.5 5.5L8 12l6.5 6.5",
  search: "M11 4.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM16 16l4.5 4.5",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${ICONS[name]} /></svg>
`;

/** A word for something the server named, or that name itself. */
export const word = (group, name) => (known(`${group}.${name}`) ? t(`${group}.${name}`) : name);

export const Status = ({ status }) => html`<span class="badge" data-status=${status}>${word("status", status)}</span>`;

/** A link out of this page. */
export const Out = ({ href, children }) => html`
  <a class="out" href=${href} target="_top" onClick=${follow}>${children}<${Icon} name="out" /></a>
`;

export const Download = ({ href, children }) => html`
  <a class="button" href=${href} download onClick=${follow}><${Icon} name="down" />${children}</a>
`;

/** A button that works once at a time; what goes wrong is said. */
export function Action({ run, kind = "", disabled = false, why = null, label = null, children }) {
  const page = usePage();
  const [busy, setBusy] = useState(false);
  const alive = useRef(true);
  useEffect(() => () => { alive.current = false; }, []);
  const click = async () => {
    if (busy) return;
    setBusy(true);
    try {
      await run();
    } catch (problem) {
      page.say(problem.message, true);
    } finally {
      if (alive.current) setBusy(false);
    }
  };
  // aria-disabled keeps the focus where it is.
  return html`<button
    type="button"
    class=${`button ${kind}`}
    disabled=${disabled}
    aria-disabled=${busy}
    aria-label=${label}
    title=${disabled ? why : null}
    onClick=${click}
  >${children}</button>`;
}

export function Copy({ text, label }) {
  const page = usePage();
  const [done, setDone] = useState(false);
  const copy = async () => {
    await write(text);
    setDone(true);
    page.say(t("copied", { text }));
    setTimeout(() => setDone(false), 1500);
  };
  return html`<button type="button" class="copy" aria-label=${label} title=${label} onClick=${copy}>
    <${Icon} name=${done ? "check" : "copy"} />
  </button>`;
}

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page without https, or within a frame, has no clipboard: the old way.
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "unseen";
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}

/** A switch with its words beside it. */
export const Switch = ({ on, label, disabled, why, change }) => html`
  <button
    type="button" class="switch" role="switch" aria-checked=${on ? "true" : "false"} disabled=${disabled}
    title=${disabled ? why : null} onClick=${() => change(!on)}
  ><i></i><span>${label}</span></button>
`;

/** What is being waited for, or what went wrong and a way on. */
export function Pending({ live }) {
  if (!live.problem) {
    return html`<div class="pending" role="status"><i class="spinner"></i>${t("loading")}</div>`;
  }
  return html`<${Trouble} problem=${live.problem} retry=${live.reload} />`;
}

export function Trouble({ problem, retry = null, since = null }) {
  const title = word("kind", problem.kind);
  return html`
    <div class="trouble" role="alert">
      <${Icon} name="alert" />
      <div>
        <strong>${title === problem.kind ? t("kind.broken") : title}</strong>
        <p>${problem.message}</p>
        ${since && html`<p class="soft">${t("problem.since", { time: precise(since) })}</p>`}
      </div>
      ${problem.kind === "unauthenticated"
        ? html`<a class="button main" href=${signIn()} target="_top" onClick=${follow}>${t("sign_in")}</a>`
        : retry && html`<button type="button" class="button" onClick=${retry}>${t("retry")}</button>`}
    </div>
  `;
}

/** The last data with a word above it when it could not be renewed. */
export const Stale = ({ live }) =>
  live.problem && live.data ? html`<${Trouble} problem=${live.problem} retry=${live.reload} since=${live.at} />` : null;

export const Empty = ({ title, children }) => html`
  <div class="empty"><strong>${title}</strong>${children && html`<p>${children}</p>`}</div>
`;

const ORDER = ["sent", "rejected", "unknown", "skipped", "in_flight", "pending"];

/** A bar of a campaign's recipients by state. */
export function Bar({ counts, total, label }) {
  const settled = total - counts.pending - counts.in_flight;
  const text = t("progress.text", { settled, total, percent: percent(settled, total) });
  return html`
    <div
      class="bar" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax=${total}
      aria-valuenow=${settled} aria-valuetext=${text}
    >
      ${ORDER.filter((state) => counts[state] > 0 && state !== "pending").map(
        (state) => html`<i
          key=${state} data-state=${state} style=${{ flexGrow: counts[state] }}
          title=${`${t(`state.${state}`)}: ${count(counts[state])}`}
        ></i>`,
      )}
      <i data-state="pending" style=${{ flexGrow: total ? counts.pending : 1 }}></i>
    </div>
  `;
}

/** How much of an allowance is used. */
export const Meter = ({ value, most, label }) => html`
  <div
    class="meter" role="meter" aria-label=${label} aria-valuemin="0" aria-valuemax=${most} aria-valuenow=${Math.min(value, most)}
    data-full=${value >= most ? "" : null}
  ><i style=${{ width: `${most ? Math.min(100, (100 * value) / most) : 0}%` }}></i></div>
`;

export function Field({ label, children, wide = false }) {
  const id = useId();
  return html`<div class=${wide ? "field wide" : "field"}><label for=${id}>${label}</label>${children(id)}</div>`;
}

/** Ask before something that cannot be undone or may bill. */
export function Question({ question, close }) {
  const dialog = useRef(null);
  const [value, setValue] = useState(question.value ?? "");
  const id = useId();
  useEffect(() => {
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
        ${question.field &&
        html`<${Field} label=${question.field} wide>
          ${(field) => html`<input
            id=${field} ...${question.input} value=${value} onInput=${(event) => setValue(event.target.value)}
          />`}
        <//>`}
        <div class="row end">
          <button type="button" class="button" onClick=${() => dialog.current.close()}>${t("no")}</button>
          <button type="submit" class=${`button ${question.grave ? "danger" : "main"}`}>${question.yes}</button>
        </div>
      </form>
    </dialog>
  `;
}
