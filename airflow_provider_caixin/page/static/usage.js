// What was billed and what may have been.
import { address } from "./api.js";
import { Chart } from "./chart.js";
import { useLive } from "./live.js";
import { Download, Pending, Stale, usePage } from "./parts.js";
import { remember } from "./route.js";
import { count, day } from "./shared/format.js";
import { Empty, Field } from "./shared/parts.js";
import { html, useEffect, useState } from "./shared/ui.js";
import { t } from "./shared/words.js";

const BY = ["day", "template", "campaign", "dag"];
const DAY_SECONDS = 86_400;
// Beyond this a table says nothing that the CSV does not say better.
const MOST = 200;

const noon = (text) => Date.parse(`${text}T12:00:00+08:00`) / 1000;
const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text ?? "") && !Number.isNaN(noon(text));

export function Usage({ route }) {
  const page = usePage();
  const today = day(Date.now() / 1000);
  const { query } = route;
  const [by, setBy] = useState(BY.includes(query.get("by")) ? query.get("by") : "day");
  const [from, setFrom] = useState(
    isDay(query.get("from")) ? query.get("from") : day(noon(today) - 29 * DAY_SECONDS),
  );
  const [to, setTo] = useState(isDay(query.get("to")) ? query.get("to") : today);
  useEffect(() => remember("usage", { by, from, to }), [by, from, to]);
  const right = isDay(from) && isDay(to) && from <= to;
  const asked = { by, from, to, ledger: page.ledger };
  const live = useLive(right ? "usage" : null, asked);
  const recent = (days) => () => {
    setFrom(day(noon(today) - (days - 1) * DAY_SECONDS));
    setTo(today);
  };
  const month = () => {
    setFrom(`${today.slice(0, 8)}01`);
    setTo(today);
  };
  return html`
    <h1>${t("part.usage")}</h1>
    <div class="filters">
      <${Field} label=${t("usage.by")}>
        ${(id) => html`<select id=${id} value=${by} onChange=${(event) => setBy(event.target.value)}>
          ${BY.map((name) => html`<option key=${name} value=${name}>${t(`by.${name}`)}</option>`)}
        </select>`}
      <//>
      <${Field} label=${t("usage.from")}>
        ${(id) => html`<input id=${id} type="date" max=${to} value=${from} onChange=${(event) => setFrom(event.target.value)} />`}
      <//>
      <${Field} label=${t("usage.to")}>
        ${(id) => html`<input id=${id} type="date" min=${from} value=${to} onChange=${(event) => setTo(event.target.value)} />`}
      <//>
      <span class="row quick">
        <button type="button" class="button" onClick=${recent(7)}>${t("usage.days", { n: 7 })}</button>
        <button type="button" class="button" onClick=${recent(30)}>${t("usage.days", { n: 30 })}</button>
        <button type="button" class="button" onClick=${month}>${t("usage.month")}</button>
      </span>
      ${right && html`<span class="push"><${Download} href=${address("usage.csv", asked)}>CSV<//></span>`}
    </div>
    ${
      !right
        ? html`<p class="note" data-tone="warn" role="alert">${t("usage.wrong_days")}</p>`
        : !live.data
          ? html`<${Pending} live=${live} />`
          : html`<${Stale} live=${live} /><${Found} by=${by} from=${from} to=${to} data=${live.data} />`
    }
  `;
}

function Found({ by, from, to, data }) {
  const { rows, total } = data;
  return html`
    <dl class="totals">
      <div><dt>${t("billed")}</dt><dd>${count(total.billed)}</dd></div>
      <div class=${total.possibly ? "unsettled" : null}><dt>${t("possibly")}</dt><dd>${count(total.possibly)}</dd></div>
    </dl>
    <p class="soft">${t("usage.text")}</p>
    ${
      rows.length === 0
        ? html`<${Empty} title=${t("usage.none")}>${t("usage.none.text")}<//>`
        : html`
          ${by === "day" && html`<${Days} from=${from} to=${to} rows=${rows} />`}
          <div class="card scroll">
            <table class="usage">
              <thead><tr>
                <th scope="col">${t(`by.${by}`)}</th><th scope="col" class="figure">${t("billed")}</th><th scope="col" class="figure">${t("possibly")}</th>
              </tr></thead>
              <tbody>${(by === "day" ? [...rows].reverse() : rows).slice(0, MOST).map((row) => html`<${Line} key=${row.name} row=${row} most=${most(rows)} />`)}</tbody>
            </table>
          </div>
          ${rows.length > MOST && html`<p class="soft">${t("usage.cut", { n: MOST, all: rows.length })}</p>`}
        `
    }
  `;
}

const most = (rows) => rows.reduce((high, row) => Math.max(high, row.billed + row.possibly), 0);

const Line = ({ row, most: high }) => html`
  <tr>
    <th scope="row">
      <span class="id">${row.name ?? t("command_line")}</span>
      <span class="share" aria-hidden="true">
        <i data-state="sent" style=${{ width: `${(100 * row.billed) / high}%` }}></i>
        <i data-state="unknown" style=${{ width: `${(100 * row.possibly) / high}%` }}></i>
      </span>
    </th>
    <td class="figure">${count(row.billed)}</td>
    <td class="figure">${row.possibly ? html`<span class="unsettled">${count(row.possibly)}</span>` : "0"}</td>
  </tr>
`;

/** A bar for each day asked for, those without a message among them. */
function Days({ from, to, rows }) {
  const found = new Map(rows.map((row) => [row.name, row]));
  const times = [];
  for (let at = noon(from); at <= noon(to) && times.length < 1500; at += DAY_SECONDS) times.push(at);
  const values = (name) => times.map((at) => found.get(day(at))?.[name] ?? 0);
  return html`
    <section class="card" aria-label=${t("usage.chart")}>
      <${Chart}
        times=${times} days width=${DAY_SECONDS} label=${t("usage.chart.label", { from, to })}
        series=${[
          { name: t("billed"), colour: "sent", values: values("billed") },
          { name: t("possibly"), colour: "unknown", values: values("possibly") },
        ]}
      />
    </section>
  `;
}
