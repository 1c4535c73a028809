// The sandbox's routes.

const PATIENCE = 5000;

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(PATIENCE) });
  const found = await answer.json();
  if (!answer.ok) throw new Error(typeof found.detail === "string" ? found.detail : JSON.stringify(found.detail));
  return found;
}

function tell(path, body) {
  return ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

function query(values) {
  const given = Object.entries(values).filter(([, value]) => value != null && value !== "");
  return new URLSearchParams(given).toString();
}

export const gateway = {
  state: () => ask("_sandbox/state"),
  codes: () => ask("_sandbox/codes"),
  faults: () => ask("_sandbox/magic"),
  inbox: (values) => ask(`_sandbox/inbox?${query(values)}`),
  phone: (mobile, after) => ask(`_sandbox/phone?${new URLSearchParams({ mobile, after })}`),
  configure: (changes) => tell("_sandbox/settings", changes),
  template: (id, change) => tell(`_sandbox/templates/${id}`, change),
  reset: () => tell("_sandbox/reset", {}),
};
