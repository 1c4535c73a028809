// The magic numbers: what to send to, to see a case.

import { h } from "./dom.js";
import { codeInWords, faultInWords, knownCodes, knownFaults } from "./meaning.js";
import { say } from "./words.js";

const panel = document.getElementById("magic");

export function drawMagic() {
  panel.replaceChildren(
    h("p", { class: "quiet-text" }, say("magic.text")),
    h("p", { class: "quiet-text" }, say("magic.key")),
    h("h3", {}, say("magic.codes")),
    list(knownCodes(), (code) => codeInWords(code.number)),
    h("h3", {}, say("magic.faults")),
    list(knownFaults(), (fault) => faultInWords(fault.number)),
  );
}

function list(entries, inWords) {
  return h(
    "ul",
    { class: "magic" },
    entries.map((entry) =>
      h(
        "li",
        {},
        h("b", {}, String(entry.number)),
        h("span", { class: "words" }, inWords(entry), entry.billed ? [" ", h("span", { class: "label good" }, say("magic.billed"))] : null),
        h("span", { class: "number-of" }, h("code", {}, entry.mobile), ` ${say("always")}`),
        h("span", { class: "number-of" }, h("code", {}, entry.mobile_first_try), ` ${say("once")}`),
      ),
    ),
  );
}
