// The counts on top, and what they are made of.

import { h, redraw } from "./dom.js";
import { codeInWords, faultInWords } from "./meaning.js";
import { count, currentLanguage, say, spaced } from "./words.js";

const VIOLATIONS = ["over_rate", "outside_window", "overlapping", "by_get", "key_in_url"];
const MINUTE = 60;

const figures = document.getElementById("counts");
const pace = document.getElementById("pace");
const panel = document.getElementById("findings");

/** The seven figures. */
export function drawCounts(state) {
  const broken = VIOLATIONS.reduce((sum, name) => sum + state[name], 0);
  const limit = state.settings.rate_limit;
  const shown = [
    ["requests", state.requests, false],
    ["billed", state.billed, false],
    ["billed_numbers", state.billed_numbers, false],
    ["duplicates", state.duplicates, state.duplicates > 0],
    ["lost", state.lost, false],
    ["worst_second", state.worst_second, limit !== null && state.worst_second > limit],
    ["violations", broken, broken > 0],
  ];
  redraw(figures, [shown, currentLanguage()], () =>
    shown.map(([name, value, isBad]) =>
      h("div", { class: isBad ? "bad" : null, "data-count": name }, h("dt", {}, say(`count.${name}`)), h("dd", {}, count(value))),
    ),
  );
}

/** Requests a second over the last minute, from the totals that were seen. */
export class Pace {
  #seen = [];

  add(requests) {
    const now = performance.now() / 1000;
    if (this.#seen.length && requests < this.#seen.at(-1).requests) this.#seen = [];
    this.#seen.push({ now, requests });
    while (now - this.#seen[0].now > MINUTE + 2) this.#seen.shift();
  }

  draw() {
    const now = performance.now() / 1000;
    const points = this.#seen.slice(1).map((point, place) => {
      const before = this.#seen[place];
      return { age: now - point.now, rate: (point.requests - before.requests) / Math.max(0.2, point.now - before.now) };
    });
    const most = Math.max(10, ...points.map((point) => point.rate));
    const path = points.map(({ age, rate }) => `${(240 * (1 - age / MINUTE)).toFixed(1)} ${(42 - (38 * rate) / most).toFixed(1)}`);
    pace.querySelector(".line").setAttribute("d", path.length > 1 ? `M${path.join("L")}` : "");
    pace.querySelector(".area").setAttribute(
      "d",
      path.length > 1 ? `M${path[0].split(" ")[0]} 44L${path.join("L")}L${path.at(-1).split(" ")[0]} 44Z` : "",
    );
    const lately = this.#seen.slice(-4); // three seconds: one alone is up and down
    const passed = lately.length > 1 ? lately.at(-1).now - lately[0].now : 1;
    const rate = (lately.at(-1).requests - lately[0].requests) / passed;
    const isIdle = points.every((point) => point.rate === 0);
    pace.querySelector("figcaption").textContent = isIdle
      ? say("pace.idle")
      : say("pace", { now: count(Math.round(rate)) });
  }
}

/** Rules, doubles, answers, faults, and the record to download. */
export function drawFindings(state, choose) {
  const { in_air: _, settings, last_arrival: __, ...made } = state;
  redraw(panel, [{ ...made, air: state.in_air }, settings, currentLanguage()], () => [
    h("h3", {}, say("rules")),
    h("ul", { class: "facts" }, VIOLATIONS.map((name) => rule(name, state))),
    h("h3", {}, say("twice.title")),
    twice(state, choose),
    h("h3", {}, say("answers")),
    table(state.by_code, codeInWords) ?? h("p", { class: "quiet-text" }, say("answers.none")),
    ...(Object.keys(state.by_fault).length ? [h("h3", {}, say("faults")), table(state.by_fault, faultInWords)] : []),
    h("h3", {}, say("more")),
    h(
      "ul",
      { class: "facts" },
      fact(say("air"), state.in_air),
      fact(say("worst_billed"), state.worst_second_billed),
      fact(say("template_calls"), state.template_calls),
    ),
    h(
      "p",
      { class: "links" },
      say("record"),
      ": ",
      h("a", { href: "_sandbox/requests.jsonl", download: "requests.jsonl" }, say("record.all")),
      " · ",
      h("a", { href: "_sandbox/billed.jsonl", download: "billed.jsonl" }, say("record.billed")),
    ),
  ]);
}

function rule(name, state) {
  const { rate_limit: limit, window } = state.settings;
  const isOff = (name === "over_rate" && limit === null) || (name === "outside_window" && window === null);
  const text = isOff ? say(`${name}_off`) : say(name, { limit, window: window ?? "" });
  if (state[name] > 0) return fact(text, state[name], "bad");
  return isOff ? fact(text, "–", "off") : fact(text, say("rules.kept"), "good");
}

function fact(text, value, kind = null) {
  return h("li", { class: kind }, h("span", {}, text), h("b", {}, typeof value === "number" ? count(value) : value));
}

function twice(state, choose) {
  const numbers = Object.entries(state.duplicate_numbers);
  if (numbers.length === 0) return h("p", { class: "quiet-text" }, say("twice.none"));
  const further = state.duplicates - numbers.length;
  return h(
    "ul",
    { class: "doubles" },
    numbers.map(([mobile, times]) =>
      h("li", {}, h("button", { type: "button", class: "double", onclick: () => choose(mobile) }, spaced(mobile), h("b", {}, `${count(times)}×`))),
    ),
    further > 0 ? h("li", {}, say("twice.more", { n: count(further) })) : null,
  );
}

function table(counts, inWords) {
  const rows = Object.entries(counts);
  if (rows.length === 0) return null;
  return h(
    "table",
    {},
    h("tbody", {}, rows.map(([number, times]) => h("tr", {}, h("th", { scope: "row" }, number), h("td", {}, inWords(Number(number))), h("td", { class: "times" }, count(times))))),
  );
}
