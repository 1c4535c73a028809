// What a row of the record means, in words.

import { currentLanguage, FAULTS_ZH, say } from "./words.js";

const codes = new Map();
const faults = new Map();

export function learn(foundCodes, foundFaults) {
  for (const code of foundCodes) codes.set(code.number, code);
  for (const fault of foundFaults) faults.set(fault.number, fault);
}

export const knownCodes = () => [...codes.values()].filter((code) => code.mobile !== null);
export const knownFaults = () => [...faults.values()];

export function codeInWords(number) {
  if (number === 0) return say("answers.0");
  return codes.get(number)?.[currentLanguage()] ?? say("code.unlisted");
}

export function faultInWords(number) {
  const chinese = currentLanguage() === "zh" ? FAULTS_ZH[number] : undefined;
  return chinese ?? faults.get(number)?.what ?? String(number);
}

/** The labels of a row: class and text, the gravest first. */
export function labels(row) {
  const found = [];
  if (row.bills > 1 && row.billed) found.push(["bad", say("twice", { n: row.bills })]);
  else if (row.billed) found.push(["good", say("billed")]);
  if (row.lost && row.billed) found.push(["lost", say("lost")]);
  if (!row.billed) found.push(row.code === null ? ["off", say("refused")] : ["off", say("rejected", { code: row.code })]);
  return found;
}

/** Why a row is not just an accepted message, in sentences; empty where it is. */
export function reasons(row) {
  const found = [];
  if (row.code) found.push(codeInWords(row.code));
  if (row.fault) found.push(faultInWords(row.fault));
  else if (row.lost && row.billed) found.push(say("lost.text"));
  return found;
}

/** Signature and text of a content that begins with 【signature】. */
export function parts(content) {
  const match = /^【([^】]*)】([\s\S]*)$/.exec(content);
  return match ? { signature: match[1], text: match[2] } : { signature: "", text: content };
}

/** The address of a template's media and what it is; null unless it is one of the sandbox's own files. */
export function media(template) {
  const match = /^\/(media\/[\w.-]+)$/.exec(template.url);
  if (!match) return null;
  return { address: match[1], isVideo: /\.(mp4|3gp)$/i.test(match[1]) };
}
