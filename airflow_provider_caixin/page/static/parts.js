// Small parts that several views of this page use.

import { percent } from "./format.js";
import { follow, signIn } from "./frame.js";
import { count, precise } from "./shared/format.js";
import { Badge, Icon } from "./shared/parts.js";
import { createContext, html, useContext, useEffect, useRef, useState } from "./shared/ui.js";
import { known, t } from "./shared/words.js";

/** {session, ledger, say(text), ask({...}) -> Promise<bool>} */
export const Page = createContext(null);
export const usePage = () => useContext(Page);

/** A word for something the server named, or that name itself. */
export const word = (group, name) => (known(`${group}.${name}`) ? t(`${group}.${name}`) : name);

const TONES = { running: "brand", loading: "brand", done: "good", paused: "warn", cancelled: "bad" };

export const Status = ({ status }) => html`
  <${Badge} tone=${TONES[status]} data-status=${status}>${word("status", status)}<//>
`;

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
  useEffect(
    () => () => {
      alive.current = false;
    },
    [],
  );
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

/** What is being waited for, or what went wrong and a way on. */
export function Pending({ live }) {
  if (!live.problem) {
    return html`<div class="loading" role="status"><i></i>${t("loading")}</div>`;
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
      ${
        problem.kind === "unauthenticated"
          ? html`<a class="button main" href=${signIn()} target="_top" onClick=${follow}>${t("sign_in")}</a>`
          : retry && html`<button type="button" class="button" onClick=${retry}>${t("retry")}</button>`
      }
    </div>
  `;
}

/** The last data with a word above it when it could not be renewed. */
export const Stale = ({ live }) =>
  live.problem && live.data
    ? html`<${Trouble} problem=${live.problem} retry=${live.reload} since=${live.at} />`
    : null;

/** Recipients' states in the order in which they are shown. */
export const STATES = ["sent", "rejected", "unknown", "skipped", "in_flight", "pending"];

/** A bar of a campaign's recipients by state. */
export function Bar({ counts, total, label }) {
  const settled = total - counts.pending - counts.in_flight;
  const text = t("progress.text", { settled, total, percent: percent(settled, total) });
  return html`
    <div
      class="bar" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax=${total}
      aria-valuenow=${settled} aria-valuetext=${text}
    >
      ${STATES.filter((state) => counts[state] > 0 && state !== "pending").map(
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
