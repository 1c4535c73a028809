// What a row of the record means, in words. The gateway's codes come from the sandbox in both languages, its
// faults in English; their Chinese is faults.zh.json.

import { precise } from "./shared/format.js";
import { html } from "./shared/ui.js";
import { isChinese, t } from "./shared/words.js";

const codes = new Map();
const faults = new Map();
let inChinese = {};

export function learn(foundCodes, foundFaults, chinese) {
  for (const code of foundCodes) codes.set(code.number, code);
  for (const fault of foundFaults) faults.set(fault.number, fault);
  inChinese = chinese;
}

export const knownCodes = () => [...codes.values()].filter((code) => code.mobile !== null);
export const knownFaults = () => [...faults.values()];

export function codeInWords(number) {
  if (number === 0) return t("answers.0");
  return codes.get(number)?.[isChinese() ? "zh" : "en"] ?? t("code.unlisted");
}

export function faultInWords(number) {
  const chinese = isChinese() ? inChinese[number] : undefined;
  return chinese ?? faults.get(number)?.what ?? String(number);
}

/** The labels of a row: tone and text, the gravest first. */
export function labels(row) {
  if (!row.billed) {
    return [["warn", row.code === null ? t("refused") : t("rejected", { code: String(row.code) })]];
  }
  const found = [row.bills > 1 ? ["bad", t("twice", { n: row.bills })] : ["good", t("billed")]];
  if (row.lost) found.push(["lost", t("lost")]);
  return found;
}

/** Why a row is not just an accepted message, in sentences; empty where it is. */
export function reasons(row) {
  const found = [];
  if (row.code) found.push(codeInWords(row.code));
  if (row.fault) found.push(faultInWords(row.fault));
  else if (row.lost && row.billed) found.push(t("lost.text"));
  return found;
}

/** Signature and text of a content that begins with 【signature】. */
export function contentOf(template) {
  const match = /^【([^】]*)】([\s\S]*)$/.exec(template.content);
  return match ? { signature: match[1], text: match[2] } : { signature: "", text: template.content };
}

/** The address of a template's media and what it is; null unless it is one of the sandbox's own files. */
export function mediaOf(template) {
  const match = /^\/(media\/[\w.-]+)$/.exec(template.url);
  if (!match) return null;
  return { address: match[1], isVideo: /\.(mp4|3gp)$/i.test(match[1]) };
}

/** A number in groups, 139 1234 5678; anything else as it is. */
export function spaced(number) {
  if (number === "") return t("number.none");
  return /^1\d{10}$/.test(number) ? `${number.slice(0, 3)} ${number.slice(3, 7)} ${number.slice(7)}` : number;
}

export const Time = ({ at }) =>
  html`<time datetime=${new Date(at * 1000).toISOString()}>${precise(at)}</time>`;
