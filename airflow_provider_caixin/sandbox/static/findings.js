// The counts on top, and what they are made of.
import { codeInWords, faultInWords, spaced } from "./meaning.js";
import { count } from "./shared/format.js";
import { html } from "./shared/ui.js";
import { t } from "./shared/words.js";

const VIOLATIONS = ["over_rate", "outside_window", "overlapping", "by_get", "key_in_url"];
const MINUTE_SECONDS = 60;

/** The seven figures. */
export function Counts({ state }) {
  const broken = VIOLATIONS.reduce((sum, name) => sum + state[name], 0);
  const limit = state.settings.rate_limit;
  const isBad = {
    duplicates: state.duplicates > 0,
    worst_second: limit !== null && state.worst_second > limit,
    violations: broken > 0,
  };
  const shown = { ...state, violations: broken };
  return html`
    <dl>
      ${["requests", "billed", "billed_numbers", "duplicates", "lost", "worst_second", "violations"].map(
        (name) => html`
          <div key=${name} data-count=${name} data-tone=${isBad[name] ? "bad" : null}>
            <dt>${t(`count.${name}`)}</dt><dd>${count(shown[name])}</dd>
          </div>
        `,
      )}
    </dl>
  `;
}

/** Requests a second over the last minute, from the totals that were seen. */
export class Pace {
  #seen = [];

  add(requests) {
    const now = performance.now() / 1000;
    if (this.#seen.length && requests < this.#seen.at(-1).requests) this.#seen = [];
    this.#seen.push({ now, requests });
    while (now - this.#seen[0].now > MINUTE_SECONDS + 2) this.#seen.shift();
  }

  /** Return the rates seen, as [age in seconds, rate], oldest first. */
  rates() {
    const now = performance.now() / 1000;
    return this.#seen.slice(1).map((point, place) => {
      const before = this.#seen[place];
      return [now - point.now, (point.requests - before.requests) / Math.max(0.2, point.now - before.now)];
    });
  }

  /** Return the mean of the last three seconds: one alone goes up and down. */
  lately() {
    const last = this.#seen.slice(-4);
    const passed = last.length > 1 ? last.at(-1).now - last[0].now : 1;
    return (last.at(-1).requests - last[0].requests) / passed;
  }
}

export function PaceFigure({ pace }) {
  const rates = pace.rates();
  const most = Math.max(10, ...rates.map(([, rate]) => rate));
  const points = rates.map(
    ([age, rate]) =>
      `${(240 * (1 - age / MINUTE_SECONDS)).toFixed(1)} ${(42 - (38 * rate) / most).toFixed(1)}`,
  );
  const line = points.length > 1 ? `M${points.join("L")}` : "";
  const x = (point) => point.split(" ")[0];
  const area = line && `M${x(points[0])} 44L${points.join("L")}L${x(points.at(-1))} 44Z`;
  return html`
    <figure id="pace">
      <svg viewBox="0 0 240 44" preserveAspectRatio="none" aria-hidden="true">
        <path class="area" d=${area} /><path class="line" d=${line} />
      </svg>
      <figcaption>
        ${rates.every(([, rate]) => rate === 0) ? t("pace.idle") : t("pace", { now: Math.round(pace.lately()) })}
      </figcaption>
    </figure>
  `;
}

/** Rules, doubles, answers, faults, and the record to download; `open` shows the telephone of a number. */
export const Findings = ({ state, open }) => html`
  <h3>${t("rules")}</h3>
  <ul class="facts">${VIOLATIONS.map((name) => html`<${Rule} key=${name} name=${name} state=${state} />`)}</ul>
  <h3>${t("twice.title")}</h3>
  <${Twice} state=${state} open=${open} />
  <h3>${t("answers")}</h3>
  ${
    Object.keys(state.by_code).length
      ? html`<${Table} counts=${state.by_code} inWords=${codeInWords} />`
      : html`<p class="soft">${t("answers.none")}</p>`
  }
  ${
    Object.keys(state.by_fault).length > 0 &&
    html`<h3>${t("faults")}</h3><${Table} counts=${state.by_fault} inWords=${faultInWords} />`
  }
  <h3>${t("more")}</h3>
  <ul class="facts">
    <${Fact} text=${t("air")} value=${count(state.in_air)} />
    <${Fact} text=${t("worst_billed")} value=${count(state.worst_second_billed)} />
    <${Fact} text=${t("template_calls")} value=${count(state.template_calls)} />
  </ul>
  <p>
    ${t("record")}: <a href="_sandbox/requests.jsonl" download="requests.jsonl">${t("record.all")}</a> ·${" "}
    <a href="_sandbox/billed.jsonl" download="billed.jsonl">${t("record.billed")}</a>
  </p>
`;

const Fact = ({ text, value, tone = null }) => html`
  <li data-tone=${tone}><span>${text}</span><b>${value}</b></li>
`;

function Rule({ name, state }) {
  const { rate_limit: limit, window } = state.settings;
  const isOff = (name === "over_rate" && limit === null) || (name === "outside_window" && window === null);
  const text = isOff ? t(`${name}_off`) : t(name, { limit, window });
  if (state[name] > 0) return html`<${Fact} text=${text} value=${count(state[name])} tone="bad" />`;
  if (isOff) return html`<${Fact} text=${text} value="–" tone="off" />`;
  return html`<${Fact} text=${text} value=${t("rules.kept")} tone="good" />`;
}

function Twice({ state, open }) {
  const numbers = Object.entries(state.duplicate_numbers);
  if (numbers.length === 0) return html`<p class="soft">${t("twice.none")}</p>`;
  const further = state.duplicates - numbers.length;
  return html`
    <ul class="doubles">
      ${numbers.map(
        ([number, times]) => html`
          <li key=${number}>
            <button type="button" class="button danger" onClick=${() => open(number)}>
              ${spaced(number)} <b>${count(times)}×</b>
            </button>
          </li>
        `,
      )}
      ${further > 0 && html`<li>${t("twice.more", { n: further })}</li>`}
    </ul>
  `;
}

const Table = ({ counts, inWords }) => html`
  <table>
    <tbody>
      ${Object.entries(counts).map(
        ([number, times]) => html`
          <tr key=${number}>
            <th scope="row"><code>${number}</code></th><td>${inWords(Number(number))}</td><td class="times">${count(times)}</td>
          </tr>
        `,
      )}
    </tbody>
  </table>
`;
