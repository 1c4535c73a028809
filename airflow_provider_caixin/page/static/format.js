// Figures and moments that this page alone writes.
import { clock, count, day, precise } from "./shared/format.js";
import { locale, t } from "./shared/words.js";

/** A moment: the time alone where it is of today. */
export function moment(at, now = Date.now() / 1000) {
  if (at === null || at === undefined) return "–";
  return day(at) === day(now) ? clock(at) : `${day(at)} ${clock(at)}`;
}

export const exact = (at) => `${day(at)} ${precise(at)}`;

/** A length of time in its two largest units. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return t("time.s", { s: whole });
  const minutes = Math.floor(whole / 60);
  if (minutes < 10) return t("time.m_s", { m: minutes, s: whole % 60 });
  if (minutes < 60) return t("time.m", { m: minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return t("time.h_m", { h: hours, m: minutes % 60 });
  return t("time.d_h", { d: Math.floor(hours / 24), h: hours % 24 });
}

export const rate = (perSecond) =>
  perSecond < 10 && perSecond % 1 ? perSecond.toFixed(1) : count(Math.round(perSecond));

export function percent(part, whole) {
  if (!whole) return "0%";
  const share = (100 * part) / whole;
  // Not all, and not nothing: never rounded to either.
  if (share > 0 && share < 0.1) return "<0.1%";
  if (share < 100 && share > 99.9) return ">99.9%";
  return `${share.toLocaleString(locale(), { maximumFractionDigits: share < 10 ? 1 : 0 })}%`;
}
