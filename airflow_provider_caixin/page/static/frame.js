// Airflow around this page. Its frame forbids links to the outside and, before 3.3, downloads; both start in
// the frame's own document instead, which is Airflow's page of the same origin. Standing alone in a tab the
// page needs none of this.

function outer() {
  try {
    return parent !== self && parent.location.pathname.includes("/plugin/") ? parent : null;
  } catch {
    return null;
  }
}

/** Follow a link of this page in Airflow's own window; without a frame the browser does. */
export function follow(event) {
  const around = outer();
  if (!around) return;
  event.preventDefault();
  const link = around.document.createElement("a");
  link.href = event.currentTarget.href;
  if (event.currentTarget.hasAttribute("download")) link.download = "";
  if (event.metaKey || event.ctrlKey || event.shiftKey) link.target = "_blank";
  link.rel = "noopener";
  around.document.body.append(link);
  link.click();
  link.remove();
}

/** Where the reader signs in and comes back from. */
export function signIn() {
  const back = (outer() ?? self).location;
  const url = new URL("../api/v2/auth/login", document.baseURI);
  url.searchParams.set("next", back.href);
  return url.href;
}

/**
 * Start where the address of Airflow's own page says, and keep it in step: a reload or a shared link leads
 * back here.
 */
export function keepPlace() {
  const around = outer();
  if (!around) return;
  if (!location.hash && around.location.hash.startsWith("#/")) {
    history.replaceState(null, "", around.location.hash);
  }
  const tell = () => {
    const { pathname, search } = around.location;
    if (pathname.includes("/plugin/")) {
      around.history.replaceState(around.history.state, "", pathname + search + location.hash);
    }
  };
  // Airflow notes the frame's address itself when it has loaded; from then on nobody does.
  addEventListener("load", () => addEventListener("hashchange", tell));
}
