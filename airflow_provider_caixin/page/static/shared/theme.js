// Before the first paint: light or dark as Airflow is. Its UI keeps the choice under "theme", and nothing
// before a first choice; where no Airflow is, as around the sandbox, it is what the system has.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      // Storage is closed to this page: as the system is.
    }
    const dark = chosen === "dark" || (chosen !== "light" && system.matches);
    document.documentElement.classList.toggle("dark", dark);
    document.dispatchEvent(new Event("caixin:theme"));
  };
  system.addEventListener("change", paint);
  // Airflow's frame around this page is another document of the same origin, so its changes arrive as events.
  addEventListener("storage", (event) => (event.key === "theme" || event.key === null) && paint());
  paint();
})();
