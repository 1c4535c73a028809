// Figures and moments as text. Moments are seconds since the epoch, and shown in China's time wherever the
// reader is.
import { locale } from "./words.js";

export const ZONE = "Asia/Shanghai";
const formats = {};

function format(name, options) {
  const key = `${locale()} ${name}`;
  formats[key] ??= new Intl.DateTimeFormat(locale(), { timeZone: ZONE, hourCycle: "h23", ...options });
  return formats[key];
}

export const count = (number) => number.toLocaleString(locale());

export const clock = (moment) =>
  format("clock", { hour: "2-digit", minute: "2-digit" }).format(moment * 1000);

export const precise = (moment) =>
  format("precise", { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(moment * 1000);

/** The day of a moment as 2026-11-25. */
export function day(moment) {
  const parts = Object.fromEntries(
    format("day", { year: "numeric", month: "2-digit", day: "2-digit" })
      .formatToParts(moment * 1000)
      .map(({ type, value }) => [type, value]),
  );
  return `${parts.year}-${parts.month}-${parts.day}`;
}
