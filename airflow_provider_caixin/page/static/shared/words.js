// Words in the reader's language. Each page has its own lists, words.en.json and words.zh.json; which
// language it is follows Airflow on one page and a button on the other.

const loaded = {};
let language = "en";
let words = {};
let taught = {};
let plural = new Intl.PluralRules("en");

/** Return a JSON file of this page. */
export async function json(name) {
  const answer = await fetch(`static/${name}`);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.json();
}

/** Load the words of a language, "en" or "zh". */
export function load(name) {
  loaded[name] ??= json(`words.${name}.json`);
  return loaded[name];
}

/** Use the words of a language from now on. */
export async function speak(name) {
  words = await load(name);
  language = name;
  plural = new Intl.PluralRules(name);
  document.documentElement.lang = name === "zh" ? "zh-CN" : "en";
}

/** Return the language of a name such as "zh-TW". */
export const languageOf = (name) => (name.toLowerCase().startsWith("zh") ? "zh" : "en");

/** Use words by language that a server gave, besides the lists of the page. */
export function learn(byLanguage) {
  taught = byLanguage;
}

/** Return the word of a key in the reader's language, if there is one. */
const find = (key) => words[key] ?? taught[language]?.[key];

export const locale = () => (language === "zh" ? "zh-CN" : "en-GB");
export const isChinese = () => language === "zh";

/** Return a sentence: {name} in it is replaced; one that has forms takes that of the number n. */
export function t(key, values = {}) {
  let text = find(key) ?? key;
  if (typeof text === "object") text = text[plural.select(values.n)] ?? text.other;
  return fill(text, values);
}

/** Replace each {name} in a text by the value of that name. */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? value.toLocaleString(locale()) : String(value);
  });
}

/** Whether there is a word for something that the server named. */
export const known = (key) => find(key) !== undefined;
