// The inbox's language: the browser's at first, then whichever was chosen.
import { isChinese, languageOf, speak } from "./shared/words.js";

const KEPT = "caixin-sandbox-language";

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // storage is forbidden: the choice lasts as long as the page
  }
}

export const speakFirst = () => speak(languageOf(kept() ?? navigator.language));

export async function switchLanguage() {
  const name = isChinese() ? "en" : "zh";
  await speak(name);
  try {
    localStorage.setItem(KEPT, name);
  } catch {
    // as above
  }
}
