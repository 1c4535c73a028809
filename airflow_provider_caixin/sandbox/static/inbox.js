// The page: asks the sandbox once a second, while somebody looks, and hands what it hears to those who draw it.

import { drawCounts, drawFindings, Pace } from "./findings.js";
import { gateway } from "./gateway.js";
import { drawList, whereText } from "./list.js";
import { drawMagic } from "./magic.js";
import { learn } from "./meaning.js";
import { drawPhone } from "./phone.js";
import { followState, makeSwitches } from "./switches.js";
import { clock, count, currentLanguage, say, switchLanguage } from "./words.js";

const SECOND = 1000;
const WHEN_GONE = 2000;
const SAID = 4000;
const PHONE_ROWS = 100;
const RECENT = 60_000; // sends in which an answer may still get lost: three minutes at the fastest

const at = (id) => document.getElementById(id);
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
  mobile: null,
  phoneRows: null,
  phoneRecord: null,
  phoneSeen: 0, // how many requests there were when its rows were asked for
  heardAt: null,
  isGone: false,
  isSaid: false, // whether codes and faults are there
};

// ---- asking ----

async function look() {
  const state = await gateway.state();
  await Promise.all([lookAtList(state), lookAtPhone(state)]);
  page.templates = new Map(state.templates.map((template) => [String(template.tplId), template]));
  if (!page.isSaid) {
    learn(...(await Promise.all([gateway.codes(), gateway.faults()])));
    page.isSaid = true;
    makeSwitches(state.templates, afterChange);
    drawMagic();
  }
  page.state = state;
  page.heardAt = Date.now() / 1000;
  pace.add(state.requests);
}

const isHeld = () => page.isPaused || page.before !== null || at("messages").scrollTop > 60;

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
  if (page.record !== null && found.record !== page.record && before !== null) return forget();
  page.record = found.record;
  page.rows = found.messages;
  page.further = found.before;
  if (before === null) page.seenRequests = requests;
}

async function lookAtPhone(state = page.state) {
  const { mobile, phoneRows: known, phoneSeen } = page;
  if (mobile === null) return;
  const requests = state?.requests ?? 0;
  // Old rows stay as they are known; recent ones are asked for again, for an answer gets lost later than its message arrives.
  const after = known === null ? -1 : Math.max((known.at(-1)?.n ?? phoneSeen) - 1, phoneSeen - RECENT);
  const found = await gateway.phone(mobile, after);
  if (mobile !== page.mobile) return;
  const isSame = known === null || found.record === page.phoneRecord;
  const rows = [...found.messages, ...(known ?? []).filter((row) => row.n <= after)].slice(0, PHONE_ROWS);
  page.phoneRows = isSame ? rows.map((row) => ({ ...row, bills: rows[0].bills })) : null;
  page.phoneRecord = found.record;
  page.phoneSeen = requests;
}

function forget() {
  Object.assign(page, { record: null, rows: [], before: null, further: null, seenRequests: 0, phoneRows: null });
  at("messages").scrollTop = 0;
}

let timer = 0;
let isLooking = false;

async function tick() {
  clearTimeout(timer);
  if (isLooking || document.hidden) return;
  isLooking = true;
  try {
    await look();
    page.isGone = false;
  } catch {
    page.isGone = true;
  }
  isLooking = false;
  draw();
  timer = setTimeout(tick, page.isGone ? WHEN_GONE : SECOND);
}

/** Look and draw at once, after something that a person did. */
async function now(action) {
  try {
    await action();
    page.isGone = false;
  } catch {
    page.isGone = true;
  }
  draw();
}

let saying = 0;

async function afterChange(sentence) {
  clearTimeout(saying);
  at("said").textContent = sentence;
  at("said").classList.add("shown");
  saying = setTimeout(() => at("said").classList.remove("shown"), SAID);
  await now(look);
}

// ---- drawing ----

function draw() {
  drawLink();
  if (page.state === null) return;
  const { state, rows, templates, mobile, search } = page;
  drawCounts(state);
  pace.draw();
  drawList({ rows, templates, chosen: mobile, search, searching: rows.length === 0 && page.further !== null });
  drawPhone({ mobile, rows: page.phoneRows, templates });
  drawFindings(state, openPhone);
  followState(state);
  const fresh = state.requests - page.seenRequests;
  at("fresh").hidden = !(isHeld() && search === "" && fresh > 0);
  at("fresh").textContent = say("fresh", { n: count(fresh) });
  at("newest").disabled = page.before === null;
  at("older").disabled = page.further === null;
  at("where").textContent = rows.length > 0 ? whereText({ rows, search, isNewest: page.before === null }) : "";
}

function drawLink() {
  const kind = page.isGone ? "gone" : page.state === null ? "waiting" : isHeld() ? "held" : "live";
  const link = at("link");
  link.dataset.link = kind;
  const text = say(`link.${kind}`);
  if (link.lastElementChild.textContent !== text) link.lastElementChild.textContent = text;
  const gone = at("gone");
  const sentence = page.heardAt === null ? say("gone.first") : say("gone.text", { time: clock(page.heardAt) });
  if (page.isGone && gone.textContent !== sentence) gone.textContent = sentence;
  gone.hidden = !page.isGone;
  document.body.classList.toggle("is-gone", page.isGone);
}

function speak() {
  document.documentElement.lang = currentLanguage() === "zh" ? "zh-CN" : "en";
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
  for (const element of document.querySelectorAll("[data-hint]")) {
    element.placeholder = say(element.dataset.hint);
    element.setAttribute("aria-label", say(element.dataset.hint));
  }
  at("language").textContent = say("language");
  at("language").lang = currentLanguage() === "zh" ? "en" : "zh-CN";
  at("pause").textContent = say(page.isPaused ? "resume" : "pause");
  if (page.isSaid) {
    makeSwitches(page.state.templates, afterChange);
    drawMagic();
  }
  draw();
}

// ---- what a person does ----

function show(view) {
  document.body.dataset.view = view;
  for (const button of document.querySelectorAll("[data-show]")) {
    button.setAttribute("aria-current", String(button.dataset.show === (view === "phone" ? "list" : view)));
  }
}

function openPhone(mobile) {
  location.hash = `#${encodeURIComponent(mobile)}`;
}

function followAddress() {
  if (location.hash === "") {
    Object.assign(page, { mobile: null, phoneRows: null });
    if (document.body.dataset.view === "phone") show("list");
    draw();
    return;
  }
  Object.assign(page, { mobile: addressed(), phoneRows: null });
  show("phone");
  draw();
  now(() => lookAtPhone());
}

function addressed() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return location.hash.slice(1);
  }
}

function turnTo(before) {
  Object.assign(page, { before, rows: before === null ? [] : page.rows });
  at("messages").scrollTop = 0;
  now(() => fetchList(page.state?.requests ?? 0));
}

at("messages").addEventListener("click", (event) => {
  const message = event.target.closest("[data-mobile]");
  if (message) openPhone(message.dataset.mobile);
});
at("messages").addEventListener("keydown", (event) => {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const next = step && document.activeElement.closest("li")?.[step]?.querySelector("button");
  if (!next) return;
  event.preventDefault();
  next.focus();
});
at("messages").addEventListener("scroll", () => {
  drawLink();
});
let typing = 0;
at("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const text = at("search").value;
    page.search = /^[\d\s-]*$/.test(text) ? text.replace(/[\s-]/g, "") : text;
    turnTo(null);
  }, 200);
});
at("pause").addEventListener("click", () => {
  page.isPaused = !page.isPaused;
  at("pause").setAttribute("aria-pressed", String(page.isPaused));
  at("pause").textContent = say(page.isPaused ? "resume" : "pause");
  if (page.isPaused) draw();
  else turnTo(null);
});
at("fresh").addEventListener("click", () => {
  turnTo(null);
  at("messages").focus({ preventScroll: true });
});
at("newest").addEventListener("click", () => turnTo(null));
at("older").addEventListener("click", () => turnTo(page.further));
at("back").addEventListener("click", () => {
  const { mobile } = page;
  history.pushState(null, "", location.pathname);
  followAddress();
  const left = [...document.querySelectorAll("[data-mobile]")].find((message) => message.dataset.mobile === mobile);
  (left ?? at("messages")).focus();
});
at("language").addEventListener("click", () => {
  switchLanguage();
  speak();
});
for (const button of document.querySelectorAll("[data-show]")) button.addEventListener("click", () => show(button.dataset.show));

const tabs = [...document.querySelectorAll("[role=tab]")];
function select(chosen) {
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", String(tab === chosen));
    tab.tabIndex = tab === chosen ? 0 : -1;
    at(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
  }
}
for (const [place, tab] of tabs.entries()) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(place + step + tabs.length) % tabs.length];
    select(next);
    next.focus();
  });
}

addEventListener("hashchange", followAddress);
document.addEventListener("visibilitychange", tick);

speak();
show("list");
if (location.hash !== "") followAddress();
tick();
