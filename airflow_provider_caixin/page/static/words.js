// The page's words. The language is the one chosen in Airflow's UI, else the browser's.

const loaded = {};
let language = "en";
let words = {};
let causes = {};
let sentences = [];
let plural = new Intl.PluralRules("en");

function chosen() {
  let name = null;
  try {
    name = localStorage.getItem("i18nextLng");
  } catch {
    // Storage is closed to this page: the browser's language.
  }
  return (name || navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
}

async function json(name) {
  const answer = await fetch(`static/${name}`);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.json();
}

/** Make a pattern of a sentence: {name} in it stands for anything. */
function pattern(sentence) {
  const literal = sentence.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replace(/\{(\w+)\}/g, "(?<$1>.+)")}$`);
}

async function speak(name) {
  const own = (file) => (name === "zh" ? json(file) : {});
  loaded[name] ??= Promise.all([json(`words.${name}.json`), own("codes.zh.json"), own("sentences.zh.json")]);
  const [found, codes, translated] = await loaded[name];
  language = name;
  words = found;
  causes = codes;
  sentences = Object.entries(translated).map(([sentence, translation]) => [pattern(sentence), translation]);
  plural = new Intl.PluralRules(name);
  document.documentElement.lang = name === "zh" ? "zh-CN" : "en";
}

/** Load the words, and call back whenever Airflow's language has changed. */
export async function listen(changed) {
  await speak(chosen());
  addEventListener("storage", async (event) => {
    const name = chosen();
    if ((event.key !== "i18nextLng" && event.key !== null) || name === language) return;
    await speak(name);
    changed();
  });
}

export const locale = () => (language === "zh" ? "zh-CN" : "en-GB");
export const isChinese = () => language === "zh";

/** Say a sentence: {name} in it is replaced; one that has forms takes that of the number n. */
export function t(key, values = {}) {
  let text = words[key] ?? key;
  if (typeof text === "object") text = text[plural.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? value.toLocaleString(locale()) : String(value);
  });
}

/** Say a sentence of the server's in the page's language, where it has one, as [text, language]. */
export function said(sentence) {
  for (const [one, translation] of sentences) {
    const found = one.exec(sentence);
    if (found) return [translation.replace(/\{(\w+)\}/g, (_, name) => found.groups[name]), "zh-CN"];
  }
  return [sentence, "en"];
}

/** Whether there is a word for something that the server named. */
export const known = (key) => key in words;

/** What a code of the gateway means: its text, cause and remedy, in the page's language. */
export function meaning(entry) {
  const own = isChinese() ? causes[entry.code] : undefined;
  return {
    text: isChinese() ? entry.zh : entry.en,
    cause: own?.cause ?? entry.cause,
    remedy: own?.remedy ?? entry.remedy,
  };
}
