// The page: its head, its parts, and what all of them share.
import { Campaign } from "./campaign.js";
import { Campaigns } from "./campaigns.js";
import { keepPlace } from "./frame.js";
import { listen } from "./language.js";
import { useLive } from "./live.js";
import { Overview } from "./overview.js";
import { Page, Pending } from "./parts.js";
import { Recipient } from "./recipient.js";
import { useRoute } from "./route.js";
import { Question, Said } from "./shared/parts.js";
import { html, render, useCallback, useEffect, useMemo, useRef, useState } from "./shared/ui.js";
import { learn, t } from "./shared/words.js";
import { Templates } from "./templates.js";
import { Usage } from "./usage.js";

const PARTS = ["", "templates", "campaigns", "recipient", "usage"];
const LEDGER = "caixin.ledger";
const SHOWN_MILLISECONDS = 8_000;
const WRONG_SHOWN_MILLISECONDS = 12_000;

function Shown({ route }) {
  const [part = "", key] = route.parts;
  if (part === "campaigns" && key) return html`<${Campaign} key=${key} id=${key} />`;
  const View = {
    "": Overview,
    templates: Templates,
    campaigns: Campaigns,
    recipient: Recipient,
    usage: Usage,
  }[part];
  if (!View) return html`<p>${t("nowhere")} <a href="#/">${t("part.overview")}</a></p>`;
  return html`<${View} key=${route.visit} route=${route} />`;
}

function Head({ part, session, ledger, choose }) {
  return html`
    <header class="top">
      <a class="skip" href="#main" onClick=${toMain}>${t("skip")}</a>
      <p class="brand"><img src="static/icon.svg" alt="" width="26" height="26" />${t("brand")}</p>
      <nav aria-label=${t("parts")}>
        ${PARTS.map(
          (name) => html`
          <a key=${name} href=${`#/${name}`} aria-current=${part === name ? "page" : null}>${t(`part.${name || "overview"}`)}</a>
        `,
        )}
      </nav>
      ${
        session &&
        session.ledgers.length > 1 &&
        html`
        <label class="ledger">${t("ledger")}
          <select value=${ledger} onChange=${(event) => choose(event.target.value)}>
            ${session.ledgers.map(({ id, label }) => html`<option key=${id} value=${id}>${label}</option>`)}
          </select>
        </label>
      `
      }
    </header>
  `;
}

function toMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function remembered() {
  try {
    return sessionStorage.getItem(LEDGER) ?? "";
  } catch {
    return "";
  }
}

function App() {
  const route = useRoute();
  const part = route.parts[0] ?? "";
  const live = useLive("session");
  const session = live.data;
  if (session) learn(session.vocabulary);
  const [chosen, setChosen] = useState(remembered);
  const [said, setSaid] = useState(null);
  const [question, setQuestion] = useState(null);
  const answered = useRef(null);
  const main = useRef(null);
  const place = useRef(null);

  const ledger = session?.ledgers.some(({ id }) => id === chosen) ? chosen : "";
  const choose = useCallback((id) => {
    setChosen(id);
    try {
      sessionStorage.setItem(LEDGER, id);
    } catch {
      // Forgotten with the page, then.
    }
  }, []);
  const say = useCallback((text, wrong = false) => setSaid({ text, wrong }), []);
  const ask = useCallback(
    (asked) =>
      new Promise((resolve) => {
        answered.current = resolve;
        setQuestion(asked);
      }),
    [],
  );
  const close = useCallback((answer) => {
    answered.current?.(answer);
    answered.current = null;
    setQuestion(null);
  }, []);

  useEffect(() => {
    if (!said) return undefined;
    // Only itself: what was said since has a time of its own.
    const forget = () => setSaid((last) => (last === said ? null : last));
    const timer = setTimeout(forget, said.wrong ? WRONG_SHOWN_MILLISECONDS : SHOWN_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [said]);

  // Another part: its heading is where reading starts.
  const here = route.parts.join("/");
  useEffect(() => {
    document.title = `${t(PARTS.includes(part) ? `part.${part || "overview"}` : "part.overview")} · ${t("brand")}`;
    if (place.current !== null && place.current !== here) {
      main.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    place.current = here;
  });

  const page = useMemo(() => ({ session, ledger, say, ask }), [session, ledger, say, ask]);
  return html`
    <${Page.Provider} value=${page}>
      <${Head} part=${part} session=${session} ledger=${ledger} choose=${choose} />
      <main id="main" ref=${main} tabindex="-1">
        ${session ? html`<${Shown} key=${ledger} route=${route} />` : html`<${Pending} live=${live} />`}
      </main>
      <footer><p>${t("zone")}</p>${session && html`<p>airflow-provider-caixin ${session.version}</p>`}</footer>
      <${Said} said=${said} close=${() => setSaid(null)} name=${t("close")} />
      ${question && html`<${Question} question=${{ no: t("no"), ...question }} close=${close} />`}
    <//>
  `;
}

keepPlace();
const root = document.getElementById("page");
const draw = () => render(html`<${App} />`, root);
listen(draw).then(draw, () => {
  // Without its words the page can only say this.
  root.textContent = "The page could not be loaded. Please reload. 页面未能加载，请刷新。";
});
