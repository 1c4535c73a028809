// What can be changed on the running sandbox. The controls are drawn once, and then follow the state unless somebody is at them.

import { h, redraw } from "./dom.js";
import { gateway } from "./gateway.js";
import { codeInWords, faultInWords, knownCodes, knownFaults, media, parts } from "./meaning.js";
import { clock, count, currentLanguage, say } from "./words.js";

const LOSE = [0, 0.05, 20, 5, 1];
const DEFAULT_LIMIT = 300;
const SOON = 30;

const panel = document.getElementById("switches");
const dialog = document.getElementById("reset");
const controls = {};
const soon = new Map();

/** Draw all switches in the language of now; `changed` is called with a sentence when one has done its work. */
export function makeSwitches(templates, changed) {
  const attempt = (change) => async (event) => {
    event.preventDefault();
    try {
      await change();
      await changed(say("said.set"));
    } catch (error) {
      await changed(say("said.failed", { why: error.message }));
    }
  };
  panel.replaceChildren(answers(attempt), templateSwitches(templates, attempt), theRest(changed));
}

/** Let the controls show what is set. */
export function followState(state) {
  const { settings } = state;
  if (!controls.lose) return;
  follow(controls.lose, () => choose(controls.lose, settings.lose_answers, loseInWords(settings.lose_answers)));
  follow(controls.latency, () => [controls.least.value, controls.most.value] = settings.latency_ms);
  const isOver = settings.answer_count === 0;
  follow(controls.answerForm, () => {
    choose(controls.answer, settings.answer ?? "", String(settings.answer));
    controls.answerCount.value = settings.answer === null ? "" : (settings.answer_count ?? "");
  });
  controls.answerNow.textContent =
    settings.answer === null
      ? ""
      : isOver
        ? say("answer.over")
        : settings.answer_count === null
          ? say("answer.all")
          : say("answer.left", { n: count(settings.answer_count) });
  turn(controls.maintenance, settings.maintenance);
  turn(controls.enforce, settings.rate_limit_answer !== null);
  for (const template of state.templates) {
    const control = controls.templates.get(template.tplId);
    if (!control) continue;
    const isAvailable = template.tpl_state === 1;
    turn(control.button, isAvailable);
    if (isAvailable) soon.delete(template.tplId);
    const from = soon.get(template.tplId);
    control.text.textContent = isAvailable
      ? say("available")
      : from
        ? say("available.soon", { time: clock(from) })
        : say("unavailable");
  }
  redraw(controls.all, settings, () => Object.entries(settings).map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, JSON.stringify(value)))));
}

function answers(attempt) {
  controls.lose = h(
    "select",
    { id: "lose", onchange: attempt(() => gateway.configure({ lose_answers: Number(controls.lose.value) })) },
    LOSE.map((value) => h("option", { value }, loseInWords(value))),
  );
  controls.least = h("input", { type: "number", min: 0, max: 600000, step: "any", required: true, "aria-label": say("latency.least") });
  controls.most = h("input", { type: "number", min: 0, max: 600000, step: "any", required: true, "aria-label": say("latency.most") });
  const slow = () => gateway.configure({ latency_ms: [controls.least.valueAsNumber, controls.most.valueAsNumber] });
  controls.latency = h(
    "form",
    { class: "field", onsubmit: saved(attempt(slow)) },
    h("span", { class: "name" }, say("latency")),
    h("span", { class: "row" }, controls.least, say("to"), controls.most, h("button", {}, say("set"))),
  );
  controls.answer = h(
    "select",
    { id: "answer" },
    h("option", { value: "" }, say("answer.off")),
    h("optgroup", { label: say("codes") }, knownCodes().map((code) => h("option", { value: code.number }, `${code.number} ${codeInWords(code.number)}`))),
    h("optgroup", { label: say("magic.faults") }, knownFaults().map((fault) => h("option", { value: fault.number }, `${fault.number} ${faultInWords(fault.number)}`))),
  );
  controls.answerCount = h("input", { type: "number", min: 0, step: 1, "aria-label": say("answer.count"), placeholder: "∞" });
  controls.answerNow = h("p", { class: "now", id: "answer-now" });
  const answer = () => {
    const number = controls.answer.value;
    const times = controls.answerCount.value;
    return gateway.configure(
      number === "" ? { answer: null, answer_count: null } : { answer: Number(number), answer_count: times === "" ? null : Number(times), answer_share: 1 },
    );
  };
  controls.answerForm = h(
    "form",
    { class: "field", onsubmit: saved(attempt(answer)) },
    h("label", { class: "name", for: "answer" }, say("answer")),
    controls.answer,
    h("span", { class: "row" }, h("span", { class: "grow" }, say("answer.count")), controls.answerCount, h("button", {}, say("set"))),
    controls.answerNow,
  );
  for (const form of [controls.latency, controls.answerForm]) form.addEventListener("input", () => (form.isEdited = true));
  controls.maintenance = toggle(say("maintenance"), attempt(() => gateway.configure({ maintenance: !isOn(controls.maintenance) })));
  controls.enforce = toggle(
    say("enforce", { limit: DEFAULT_LIMIT }),
    attempt(() =>
      gateway.configure(isOn(controls.enforce) ? { rate_limit_answer: null } : { rate_limit: DEFAULT_LIMIT, rate_limit_answer: 10011 }),
    ),
  );
  return h(
    "section",
    {},
    h("h3", {}, say("set.answers")),
    h("div", { class: "field" }, h("label", { class: "name", for: "lose" }, say("lose")), controls.lose),
    controls.latency,
    controls.answerForm,
    controls.maintenance,
    controls.enforce,
  );
}

function templateSwitches(templates, attempt) {
  controls.templates = new Map();
  return h(
    "section",
    {},
    h("h3", {}, say("templates")),
    h("ul", { class: "templates" }, templates.map((template) => templateSwitch(template, attempt))),
  );
}

function templateSwitch(template, attempt) {
  const id = template.tplId;
  const { signature, text } = parts(template.content);
  const control = { text: h("span", { class: "state" }) };
  control.button = h(
    "button",
    {
      type: "button",
      role: "switch",
      class: "switch",
      "aria-checked": "false",
      "aria-label": say("available.switch", { id }),
      onclick: attempt(() => {
        soon.delete(id);
        return gateway.template(id, { available: !isOn(control.button) });
      }),
    },
    h("i", {}),
  );
  const after = h("input", { type: "number", min: 0, step: "any", value: SOON, required: true, "aria-label": `${id}: ${say("available.in")} (${say("seconds")})` });
  const later = () => {
    soon.set(id, Date.now() / 1000 + after.valueAsNumber);
    return gateway.template(id, { available: false, available_in: after.valueAsNumber });
  };
  controls.templates.set(id, control);
  return h(
    "li",
    { "data-template": id },
    h("div", { class: "row" }, h("b", { class: "id" }, String(id)), control.text, control.button),
    h("p", { class: "gist" }, signature ? h("b", {}, `【${signature}】`) : null, text),
    h("form", { class: "row later", onsubmit: attempt(later) }, h("span", { class: "fine grow" }, media(template)?.address ?? ""), h("button", { class: "quiet" }, say("available.in")), after, say("seconds")),
  );
}

function theRest(changed) {
  controls.all = h("tbody", {});
  const ask = async () => {
    dialog.returnValue = "no";
    dialog.showModal();
    await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
    if (dialog.returnValue !== "yes") return;
    try {
      await gateway.reset();
      soon.clear();
      await changed(say("said.reset"));
    } catch (error) {
      await changed(say("said.failed", { why: error.message }));
    }
  };
  return h(
    "section",
    {},
    h("button", { type: "button", class: "danger", onclick: ask }, say("reset")),
    h("details", {}, h("summary", {}, say("all")), h("table", { class: "settings" }, controls.all)),
  );
}

/** Wrap what a form does: afterwards it follows the state again. */
function saved(action) {
  return async (event) => {
    const form = event.currentTarget;
    await action(event);
    form.isEdited = false;
  };
}

function follow(control, show) {
  if (!control.isEdited && !control.contains(document.activeElement)) show();
}

function choose(select, value, text) {
  if (![...select.options].some((option) => option.value === String(value))) select.append(h("option", { value }, text));
  select.value = String(value);
}

function loseInWords(value) {
  if (value === 0) return say("lose.0");
  if (value === 1) return say("lose.1");
  return value < 1 ? say("lose.share", { n: count(value * 100) }) : say("lose.nth", { n: count(Math.floor(value)) });
}

function toggle(text, act) {
  return h("button", { type: "button", role: "switch", class: "switch wide", "aria-checked": "false", onclick: act }, h("span", {}, text), h("i", {}));
}

const isOn = (button) => button.getAttribute("aria-checked") === "true";
const turn = (button, value) => button.setAttribute("aria-checked", String(value));
