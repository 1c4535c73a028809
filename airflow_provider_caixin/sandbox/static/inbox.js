// The page: asks the sandbox once a second, while somebody looks, and draws what it hears.
import { Counts, Findings, Pace, PaceFigure } from "./findings.js";
import { gateway } from "./gateway.js";
import { speakFirst, switchLanguage } from "./language.js";
import { List, Nothing } from "./list.js";
import { Magic } from "./magic.js";
import { learn } from "./meaning.js";
import { MOST_ROWS, Phone } from "./phone.js";
import { precise } from "./shared/format.js";
import { Icon, Note, Question, Said } from "./shared/parts.js";
import { html, render } from "./shared/ui.js";
import { isChinese, json, t } from "./shared/words.js";
import { Switches } from "./switches.js";

const WAIT_MILLISECONDS = 1000;
const WAIT_WHEN_GONE_MILLISECONDS = 2000;
const SAID_MILLISECONDS = 4000;
const TYPING_MILLISECONDS = 200;
const HELD_PIXELS = 60;
const RECENT = 60_000; // sends in which an answer may still get lost: three minutes at the fastest
const PANELS = ["findings", "switches", "magic"];
// What somebody was about to type stays while another panel is looked at.
const KEPT = "switches";

const pace = new Pace();
const page = {
  state: null,
  templates: new Map(),
  record: null,
  rows: [],
  before: null, // the page of the list: sends before this position, null for the newest
  further: null,
  search: "",
  isPaused: false,
  seenRequests: 0, // how many there were when the list was last drawn
  number: null, // whose telephone is shown
  phoneRows: null,
  phoneRecord: null,
  phoneSeen: 0, // how many requests there were when its rows were asked for
  heardAt: null,
  isGone: false,
  view: "list", // what a narrow window shows: list, phone or side
  panel: "findings",
  said: null,
  question: null,
};
const messages = () => document.getElementById("messages");

// ---- asking ----

async function look() {
  const state = await gateway.state();
  await Promise.all([lookAtList(state), lookAtPhone(state)]);
  page.templates = new Map(state.templates.map((template) => [String(template.tplId), template]));
  if (page.state === null) {
    learn(...(await Promise.all([gateway.codes(), gateway.faults(), json("faults.zh.json")])));
  }
  page.state = state;
  page.heardAt = Date.now() / 1000;
  pace.add(state.requests);
}

const isHeld = () => page.isPaused || page.before !== null || (messages()?.scrollTop ?? 0) > HELD_PIXELS;

async function lookAtList(state) {
  // A record that begins anew makes every position of the old one wrong.
  if (state.requests < page.seenRequests) forget();
  if (isHeld() && page.record !== null) return;
  await fetchList(state.requests);
}

async function fetchList(requests) {
  const { search, before } = page;
  const found = await gateway.inbox({ search, before });
  if (search !== page.search || before !== page.before) return; // somebody typed on meanwhile
  if (page.record !== null && found.record !== page.record && before !== null) {
    forget();
    return;
  }
  page.record = found.record;
  page.rows = found.messages;
  page.further = found.before;
  if (before === null) page.seenRequests = requests;
}

async function lookAtPhone(state = page.state) {
  const { number, phoneRows: known, phoneSeen } = page;
  if (number === null) return;
  const requests = state?.requests ?? 0;
  // Old rows stay as they are known; recent ones are asked for again, for an answer gets lost later than its
  // message arrives.
  const after = known === null ? -1 : Math.max((known.at(-1)?.n ?? phoneSeen) - 1, phoneSeen - RECENT);
  const found = await gateway.phone(number, after);
  if (number !== page.number) return;
  const isSame = known === null || found.record === page.phoneRecord;
  const rows = [...found.messages, ...(known ?? []).filter((row) => row.n <= after)].slice(0, MOST_ROWS);
  page.phoneRows = isSame ? rows.map((row) => ({ ...row, bills: rows[0].bills })) : null;
  page.phoneRecord = found.record;
  page.phoneSeen = requests;
}

function forget() {
  Object.assign(page, {
    record: null,
    rows: [],
    before: null,
    further: null,
    seenRequests: 0,
    phoneRows: null,
  });
  messages().scrollTop = 0;
}

let timer = 0;
let isLooking = false;

async function tick() {
  clearTimeout(timer);
  if (isLooking || document.hidden) return;
  isLooking = true;
  await now(look);
  isLooking = false;
  timer = setTimeout(tick, page.isGone ? WAIT_WHEN_GONE_MILLISECONDS : WAIT_MILLISECONDS);
}

/** Ask the sandbox for something, and draw at once. */
async function now(action) {
  try {
    await action();
    page.isGone = false;
  } catch {
    page.isGone = true;
  }
  draw();
}

// ---- what the reader does ----

let saying = 0;

function say(said) {
  page.said = said;
  clearTimeout(saying);
  if (said) saying = setTimeout(() => say(null), SAID_MILLISECONDS);
  draw();
}

/** Change the sandbox, say how it went, and return whether it was changed. */
async function act(change, sentence = t("said.set")) {
  let isDone = true;
  try {
    await change();
    say({ text: sentence });
  } catch (error) {
    isDone = false;
    say({ text: t("said.failed", { why: error.message }), wrong: true });
  }
  await now(look);
  return isDone;
}

function ask(question) {
  return new Promise((resolve) => {
    const close = (answer) => {
      page.question = null;
      draw();
      resolve(answer);
    };
    page.question = { question, close };
    draw();
  });
}

function open(number) {
  location.hash = `#${encodeURIComponent(number)}`;
}

function followAddress() {
  const number = location.hash === "" ? null : addressed();
  const view = number === null ? (page.view === "phone" ? "list" : page.view) : "phone";
  Object.assign(page, { number, view, phoneRows: null });
  draw();
  if (number !== null) now(() => lookAtPhone());
}

function addressed() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return location.hash.slice(1);
  }
}

function show(change) {
  Object.assign(page, change);
  draw();
}

function back() {
  const { number } = page;
  history.pushState(null, "", location.pathname);
  followAddress();
  const left = [...document.querySelectorAll("[data-number]")].find((one) => one.dataset.number === number);
  (left ?? messages()).focus();
}

function turnTo(before) {
  Object.assign(page, { before, rows: before === null ? [] : page.rows });
  messages().scrollTop = 0;
  now(() => fetchList(page.state?.requests ?? 0));
}

function pause() {
  page.isPaused = !page.isPaused;
  draw();
  if (!page.isPaused) turnTo(null);
}

let typing = 0;

function search(event) {
  const text = event.target.value;
  clearTimeout(typing);
  typing = setTimeout(() => {
    page.search = /^[\d\s-]*$/.test(text) ? text.replace(/[\s-]/g, "") : text;
    turnTo(null);
  }, TYPING_MILLISECONDS);
}

function scrolled() {
  if (isHeld() !== wasHeld) draw();
}

function skip(event) {
  event.preventDefault();
  messages().focus();
}

// ---- drawing ----

const App = () => html`
  <div class="inbox" data-view=${page.view} data-gone=${page.isGone ? "" : null}>
    <a class="skip" href="#messages" onClick=${skip}>${t("skip")}</a>
    <${Head} />
    ${
      page.isGone &&
      html`<${Note} tone="bad" role="alert">
        ${page.heardAt === null ? t("gone.first") : t("gone.text", { time: precise(page.heardAt) })}
      <//>`
    }
    <section class="card counts" aria-label=${t("counts")}>
      ${page.state && html`<${Counts} state=${page.state} /><${PaceFigure} pace=${pace} />`}
    </section>
    <main>
      <${Messages} />
      <section class="stage" aria-label=${t("phone")}>
        <button type="button" id="back" class="button" onClick=${back}><${Icon} name="back" />${t("back")}</button>
        <div class="phone"><div class="screen">
          <${Phone} number=${page.number} rows=${page.phoneRows} templates=${page.templates} />
        </div></div>
      </section>
      <${Side} />
    </main>
    <nav class="views" aria-label=${t("views")}>
      ${["list", "side"].map(
        (view) => html`
          <button
            type="button" data-show=${view} aria-current=${String((page.view === "side") === (view === "side"))}
            onClick=${() => show({ view })}
          >${t(`view.${view}`)}</button>
        `,
      )}
    </nav>
    <${Said} said=${page.said} close=${() => say(null)} name=${t("close")} />
    ${page.question && html`<${Question} ...${page.question} />`}
  </div>
`;

function Head() {
  const link = page.isGone ? "gone" : page.state === null ? "waiting" : isHeld() ? "held" : "live";
  const change = async () => {
    await switchLanguage();
    draw();
  };
  return html`
    <header class="top">
      <div class="brand">
        <img src="static/icon.svg" width="32" height="32" alt="" />
        <div><h1>${t("title")}</h1><p class="soft">${t("notice")}</p></div>
      </div>
      <div class="tools">
        <p id="link" role="status" class="soft" data-link=${link}>
          <i aria-hidden="true"></i><span>${t(`link.${link}`)}</span>
        </p>
        <button type="button" id="language" class="button" lang=${isChinese() ? "en" : "zh-CN"} onClick=${change}>
          ${t("language")}
        </button>
      </div>
    </header>
  `;
}

function Messages() {
  const { state, rows, before, further, isPaused } = page;
  const fresh = (state?.requests ?? 0) - page.seenRequests;
  const showFresh = () => {
    turnTo(null);
    messages().focus({ preventScroll: true });
  };
  return html`
    <section class="card list" aria-label=${t("messages")}>
      <div class="row">
        <input
          id="search" type="search" inputmode="numeric" autocomplete="off" maxlength="64" class="grow"
          placeholder=${t("search")} aria-label=${t("search")} onInput=${search}
        />
        <button type="button" id="pause" class="button" aria-pressed=${String(isPaused)} onClick=${pause}>
          ${t(isPaused ? "resume" : "pause")}
        </button>
      </div>
      ${
        state &&
        isHeld() &&
        page.search === "" &&
        fresh > 0 &&
        html`<button type="button" id="fresh" data-tone="good" onClick=${showFresh}>${t("fresh", { n: fresh })}</button>`
      }
      <${List} rows=${rows} templates=${page.templates} chosen=${page.number} open=${open} scrolled=${scrolled} />
      ${state && rows.length === 0 && html`<${Nothing} search=${page.search} isSearching=${further !== null} />`}
      <div class="row pages">
        <button type="button" id="newest" class="button" disabled=${before === null} onClick=${() => turnTo(null)}>
          ${t("newest")}
        </button>
        <span id="where" class="soft">${rows.length > 0 && where()}</span>
        <button type="button" id="older" class="button" disabled=${further === null} onClick=${() => turnTo(further)}>
          ${t("older")}
        </button>
      </div>
    </section>
  `;
}

/** Return what stands between the two page buttons. */
function where() {
  const { rows, search: sought, before } = page;
  if (sought !== "") return t("where.searched", { n: rows.length });
  return before === null ? t("where.newest", { n: rows.length }) : t("where.older");
}

function Side() {
  const { state, panel } = page;
  const step = (event) => {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!way) return;
    const next = PANELS[(PANELS.indexOf(panel) + way + PANELS.length) % PANELS.length];
    show({ panel: next });
    document.getElementById(`tab-${next}`).focus();
  };
  const shown = {
    findings: () => html`<${Findings} state=${state} open=${open} />`,
    switches: () => html`<${Switches} state=${state} act=${act} ask=${ask} />`,
    magic: () => html`<${Magic} />`,
  };
  return html`
    <section class="card side" aria-label=${t("side")}>
      <div class="tabs" role="tablist" aria-label=${t("side")} onKeyDown=${step}>
        ${PANELS.map(
          (name) => html`
            <button
              key=${name} type="button" role="tab" id=${`tab-${name}`} aria-controls=${name}
              aria-selected=${String(name === panel)} tabindex=${name === panel ? "0" : "-1"}
              onClick=${() => show({ panel: name })}
            >${t(`tab.${name}`)}</button>
          `,
        )}
      </div>
      ${PANELS.map(
        (name) => html`
          <div
            key=${name} role="tabpanel" id=${name} aria-labelledby=${`tab-${name}`} hidden=${name !== panel}
            tabindex=${name === "switches" ? null : "0"}
          >${state && (name === panel || name === KEPT) && shown[name]()}</div>
        `,
      )}
    </section>
  `;
}

const root = document.getElementById("inbox");
let wasHeld = false;

function draw() {
  wasHeld = isHeld();
  document.title = t("title");
  render(html`<${App} />`, root);
}

speakFirst().then(
  () => {
    addEventListener("hashchange", followAddress);
    document.addEventListener("visibilitychange", tick);
    followAddress();
    tick();
  },
  () => {
    // Without its words the page can only say this.
    root.textContent = "The page could not be loaded. Please reload. 页面未能加载，请刷新。";
  },
);
