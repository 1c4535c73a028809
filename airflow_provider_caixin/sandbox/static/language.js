// The inbox's language: the browser's at first, then whichever was chosen.
import { isChinese, languageOf, load, speak } from "./shared/words.js";

const KEPT = "caixin-sandbox-language";

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // storage is forbidden: the choice lasts as long as the page
  }
}

const other = () => (isChinese() ? "en" : "zh");

export async function speakFirst() {
  await speak(languageOf(kept() ?? navigator.language));
  await load(other()); // so that the button works at once, also when the sandbox is gone
}

export async function switchLanguage() {
  const name = other();
  await speak(name);
  try {
    localStorage.setItem(KEPT, name);
  } catch {
    // as above
  }
}
