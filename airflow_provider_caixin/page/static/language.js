// The page's language: the one chosen in Airflow's UI, else the browser's; and what the server says, in that
// language.
import { fill, isChinese, json, languageOf, speak } from "./shared/words.js";

let language = null;
let causes = {};
let sentences = [];

function chosen() {
  let name = null;
  try {
    name = localStorage.getItem("i18nextLng");
  } catch {
    // Storage is closed to this page: the browser's language.
  }
  return languageOf(name || navigator.language || "en");
}

/** Make a pattern of a sentence: {name} in it stands for anything. */
function pattern(sentence) {
  const literal = sentence.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replace(/\{(\w+)\}/g, "(?<$1>.+)")}$`);
}

async function follow() {
  const name = chosen();
  const own = (file) => (name === "zh" ? json(file) : {});
  const [codes, translated] = await Promise.all([
    own("codes.zh.json"),
    own("sentences.zh.json"),
    speak(name),
  ]);
  language = name;
  causes = codes;
  sentences = Object.entries(translated).map(([sentence, translation]) => [pattern(sentence), translation]);
}

/** Load the words, and call back whenever Airflow's language has changed. */
export async function listen(changed) {
  await follow();
  addEventListener("storage", async (event) => {
    if ((event.key !== "i18nextLng" && event.key !== null) || chosen() === language) return;
    await follow();
    changed();
  });
}

/** Return a sentence of the server's in the page's language, where it has one, as [text, language]. */
export function said(sentence) {
  for (const [one, translation] of sentences) {
    const found = one.exec(sentence);
    if (found) return [fill(translation, found.groups ?? {}), "zh-CN"];
  }
  return [sentence, "en"];
}

/** Return what a code of the gateway means: its text, cause and remedy, in the page's language. */
export function meaning(entry) {
  const own = isChinese() ? causes[entry.code] : undefined;
  return {
    text: isChinese() ? entry.zh : entry.en,
    cause: own?.cause ?? entry.cause,
    remedy: own?.remedy ?? entry.remedy,
  };
}
