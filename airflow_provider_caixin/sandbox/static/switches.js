// What can be changed on the running sandbox. The controls follow its state unless somebody is at them.
import { gateway } from "./gateway.js";
import { codeInWords, contentOf, faultInWords, knownCodes, knownFaults, mediaOf } from "./meaning.js";
import { precise } from "./shared/format.js";
import { Content, Field, Switch } from "./shared/parts.js";
import { html, useEffect, useRef, useState } from "./shared/ui.js";
import { t } from "./shared/words.js";

const LOSE = [0, 0.05, 20, 5, 1];
const DEFAULT_LIMIT = 300;
const SOON_SECONDS = 30;
const MOST_LATENCY_MILLISECONDS = 600_000;

// When a template becomes available by itself, by its id.
const soon = new Map();

/** `act` does something and says how it went; `ask` asks a question before. */
export function Switches({ state, act, ask }) {
  const { settings } = state;
  async function reset() {
    const sure = await ask({
      title: t("reset.title"),
      text: t("reset.text"),
      yes: t("reset.yes"),
      no: t("reset.no"),
      grave: true,
    });
    if (!sure) return;
    await act(async () => {
      await gateway.reset();
      soon.clear();
    }, t("said.reset"));
  }
  const limited = settings.rate_limit_answer !== null;
  const enforce = limited
    ? { rate_limit_answer: null }
    : { rate_limit: DEFAULT_LIMIT, rate_limit_answer: 10011 };
  return html`
    <h3>${t("set.answers")}</h3>
    <${Lose} set=${settings.lose_answers} act=${act} />
    <${Latency} set=${settings.latency_ms} act=${act} />
    <${Answer} settings=${settings} act=${act} />
    <${Switch}
      wide label=${t("maintenance")} on=${settings.maintenance}
      change=${(maintenance) => act(() => gateway.configure({ maintenance }))}
    />
    <${Switch}
      wide label=${t("enforce", { limit: DEFAULT_LIMIT })} on=${limited} change=${() => act(() => gateway.configure(enforce))}
    />
    <h3>${t("templates")}</h3>
    <ul class="templates">
      ${state.templates.map((one) => html`<${Template} key=${one.tplId} template=${one} act=${act} />`)}
    </ul>
    <p><button type="button" class="button danger" onClick=${reset}>${t("reset")}</button></p>
    <details>
      <summary class="soft">${t("all")}</summary>
      <table>
        <tbody>
          ${Object.entries(settings).map(
            ([name, value]) => html`
              <tr key=${name}><th scope="row"><code>${name}</code></th><td>${JSON.stringify(value)}</td></tr>
            `,
          )}
        </tbody>
      </table>
    </details>
  `;
}

/**
 * Keep what controls show: what is set, or, while somebody is at them, what was set then or has been typed.
 *
 * Return {shown, type(change), settle(element), at}; `at` goes to the element around the controls.
 */
function useDraft(set) {
  const [draft, setDraft] = useState(null);
  const isEdited = useRef(false);
  return {
    shown: draft ?? set,
    type: (change) => {
      isEdited.current = true;
      setDraft((last) => ({ ...(last ?? set), ...change }));
    },
    settle: (element) => {
      isEdited.current = false;
      if (!element.contains(document.activeElement)) setDraft(null);
    },
    at: {
      onFocusIn: () => setDraft((last) => last ?? set),
      onFocusOut: () => !isEdited.current && setDraft(null),
    },
  };
}

/** Return what a form does: the change, and afterwards it follows the state again. */
const submit = (act, settle, change) => async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  if (await act(change)) settle(form);
};

function Lose({ set, act }) {
  const { shown, type, settle, at } = useDraft({ value: String(set) });
  const values = LOSE.includes(set) ? LOSE : [...LOSE, set];
  const change = async ({ currentTarget: select }) => {
    const { value } = select;
    type({ value });
    await act(() => gateway.configure({ lose_answers: Number(value) }));
    settle(select);
  };
  return html`
    <${Field} label=${t("lose")}>
      ${(id) => html`<select id=${id} value=${shown.value} onChange=${change} ...${at}>
        ${values.map((value) => html`<option key=${value} value=${String(value)}>${loseInWords(value)}</option>`)}
      </select>`}
    <//>
  `;
}

function loseInWords(value) {
  if (value === 0) return t("lose.0");
  if (value === 1) return t("lose.1");
  return value < 1 ? t("lose.share", { n: value * 100 }) : t("lose.nth", { n: Math.floor(value) });
}

function Latency({ set, act }) {
  const { shown, type, settle, at } = useDraft({ least: String(set[0]), most: String(set[1]) });
  const change = () => gateway.configure({ latency_ms: [Number(shown.least), Number(shown.most)] });
  const field = (name) => html`<input
    type="number" min="0" max=${MOST_LATENCY_MILLISECONDS} step="any" required aria-label=${t(`latency.${name}`)}
    value=${shown[name]} onInput=${(event) => type({ [name]: event.target.value })}
  />`;
  return html`
    <form class="field" onSubmit=${submit(act, settle, change)} ...${at}>
      <span class="soft">${t("latency")}</span>
      <span class="row">
        ${field("least")} ${t("to")} ${field("most")} <button class="button main">${t("set")}</button>
      </span>
    </form>
  `;
}

function Answer({ settings, act }) {
  const { answer, answer_count: left } = settings;
  const { shown, type, settle, at } = useDraft({
    number: String(answer ?? ""),
    times: answer === null ? "" : String(left ?? ""),
  });
  const change = () =>
    gateway.configure(
      shown.number === ""
        ? { answer: null, answer_count: null }
        : {
            answer: Number(shown.number),
            answer_count: shown.times === "" ? null : Number(shown.times),
            answer_share: 1,
          },
    );
  const isListed =
    answer === null || [...knownCodes(), ...knownFaults()].some(({ number }) => number === answer);
  const choices = (entries, inWords) =>
    entries.map(
      ({ number }) =>
        html`<option key=${number} value=${String(number)}>${number} ${inWords(number)}</option>`,
    );
  return html`
    <form class="field" onSubmit=${submit(act, settle, change)} ...${at}>
      <label for="answer">${t("answer")}</label>
      <select id="answer" value=${shown.number} onChange=${(event) => type({ number: event.target.value })}>
        <option value="">${t("answer.off")}</option>
        <optgroup label=${t("codes")}>${choices(knownCodes(), codeInWords)}</optgroup>
        <optgroup label=${t("magic.faults")}>${choices(knownFaults(), faultInWords)}</optgroup>
        ${!isListed && html`<option value=${String(answer)}>${answer}</option>`}
      </select>
      <span class="row">
        <span class="soft grow">${t("answer.count")}</span>
        <input
          type="number" min="0" step="1" placeholder="∞" aria-label=${t("answer.count")} value=${shown.times}
          onInput=${(event) => type({ times: event.target.value })}
        />
        <button class="button main">${t("set")}</button>
      </span>
      <p class="soft" id="answer-now">${inForce(answer, left)}</p>
    </form>
  `;
}

function inForce(answer, left) {
  if (answer === null) return null;
  if (left === 0) return t("answer.over");
  return left === null ? t("answer.all") : t("answer.left", { n: left });
}

function Template({ template, act }) {
  const { tplId: id } = template;
  const [seconds, setSeconds] = useState(String(SOON_SECONDS));
  const isAvailable = template.tpl_state === 1;
  useEffect(() => {
    if (isAvailable) soon.delete(id);
  }, [isAvailable]);
  const turn = (available) =>
    act(() => {
      soon.delete(id);
      return gateway.template(id, { available });
    });
  const later = (event) => {
    event.preventDefault();
    act(() => {
      soon.set(id, Date.now() / 1000 + Number(seconds));
      return gateway.template(id, { available: false, available_in: Number(seconds) });
    });
  };
  const from = soon.get(id);
  const unavailable = from ? t("available.soon", { time: precise(from) }) : t("unavailable");
  return html`
    <li data-template=${id}>
      <div class="row">
        <code class="grow">${id}</code>
        <span class="soft">${isAvailable ? t("available") : unavailable}</span>
        <${Switch} on=${isAvailable} name=${t("available.switch", { id: String(id) })} change=${turn} />
      </div>
      <p class="gist"><${Content} ...${contentOf(template)} /></p>
      <form class="row" onSubmit=${later}>
        <span class="soft grow">${mediaOf(template)?.address}</span>
        <button class="button">${t("available.in")}</button>
        <input
          type="number" min="0" step="any" required aria-label=${`${id}: ${t("available.in")} (${t("seconds")})`}
          value=${seconds} onInput=${(event) => setSeconds(event.target.value)}
        />
        ${t("seconds")}
      </form>
    </li>
  `;
}
