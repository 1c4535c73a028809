// Questions to the server. Every one ends: with an answer, or with a Problem that says what is wrong in a
// sentence.
import { said } from "./language.js";
import { t } from "./shared/words.js";

const PATIENCE_MILLISECONDS = 15_000;

/** What went wrong; `kind` is the server's word, or "timeout", "offline", "broken". */
export class Problem extends Error {
  constructor(kind, detail, status = 0) {
    super(detail);
    this.kind = kind;
    this.status = status;
  }
}

/** Write an address of the server's JSON; what is null or empty is left out. */
export function address(path, query = {}) {
  const given = Object.entries(query).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  const text = new URLSearchParams(given).toString();
  return `api/${path}${text ? `?${text}` : ""}`;
}

async function ask(url, options, signal) {
  const patience = AbortSignal.timeout(PATIENCE_MILLISECONDS);
  let answer;
  let body;
  try {
    answer = await fetch(url, {
      credentials: "same-origin",
      ...options,
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
    body = await answer.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (patience.aborted)
      throw new Problem("timeout", t("problem.timeout", { seconds: PATIENCE_MILLISECONDS / 1000 }));
    if (answer === undefined) throw new Problem("offline", t("problem.offline"));
  }
  if (answer.ok && body !== undefined) return body;
  if (answer.status === 401) throw new Problem("unauthenticated", t("problem.unauthenticated"), 401);
  const detail =
    typeof body?.detail === "string" ? said(body.detail)[0] : t("problem.broken", { status: answer.status });
  throw new Problem(body?.kind ?? "broken", detail, answer.status);
}

export const get = (path, query, signal) => ask(address(path, query), {}, signal);

export const post = (path, body = {}, query = {}) =>
  ask(address(path, query), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
