// The sandbox's routes.

const PATIENCE_MILLISECONDS = 5000;

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(PATIENCE_MILLISECONDS) });
  const found = await answer.json();
  if (!answer.ok)
    throw new Error(typeof found.detail === "string" ? found.detail : JSON.stringify(found.detail));
  return found;
}

const post = (path, body) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== "");
  return new URLSearchParams(given).toString();
}

export const gateway = {
  state: () => ask("_sandbox/state"),
  codes: () => ask("_sandbox/codes"),
  faults: () => ask("_sandbox/magic"),
  inbox: (values) => ask(`_sandbox/inbox?${query(values)}`),
  phone: (number, after) => ask(`_sandbox/phone?${new URLSearchParams({ mobile: number, after })}`),
  configure: (changes) => post("_sandbox/settings", changes),
  template: (id, change) => post(`_sandbox/templates/${id}`, change),
  reset: () => post("_sandbox/reset", {}),
};
