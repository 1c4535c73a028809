// The part of the page that the address names: #/campaigns/7, #/campaigns?id=...
import { useEffect, useState } from "./shared/ui.js";

let visits = 0;

function read() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  let parts;
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    parts = [path];
  }
  // The same link followed once more is another visit: a list that was filtered meanwhile starts anew.
  visits += 1;
  return { visit: visits, parts, query: new URLSearchParams(query) };
}

export function useRoute() {
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const changed = () => setRoute(read());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

export const campaignLink = (key) => `#/campaigns/${key}`;

/** Go to another part without a step back in the browser's history. */
export function replace(hash) {
  history.replaceState(null, "", hash);
  dispatchEvent(new Event("hashchange"));
}

/** Keep what a part was asked for in the address; nothing is loaded anew by it. */
export function remember(path, values) {
  const given = Object.entries(values).filter(([, value]) => value);
  const query = new URLSearchParams(given).toString();
  history.replaceState(null, "", `#/${path}${query ? `?${query}` : ""}`);
}
