// A campaign's recipients whose outcome is unknown, and what somebody decides about them.
import { post } from "./api.js";
import { exact } from "./format.js";
import { useLive } from "./live.js";
import { Action, Pending, usePage } from "./parts.js";
import { count } from "./shared/format.js";
import { Badge, Icon } from "./shared/parts.js";
import { html, useEffect, useState } from "./shared/ui.js";
import { t } from "./shared/words.js";

const PAGE = 20;

export function Unknown({ campaign, changed }) {
  const unknown = campaign.counts.unknown;
  if (unknown === 0 || campaign.status === "purged") return null;
  return html`
    <section class="card unknown" aria-labelledby="unknown">
      <h2 id="unknown"><${Icon} name="alert" />${t("unknown.here", { n: unknown })}</h2>
      <p>${t("unknown.explained")}</p>
      <${List} key=${campaign.key} campaign=${campaign} changed=${changed} />
    </section>
  `;
}

function List({ campaign, changed }) {
  const page = usePage();
  const [past, setPast] = useState([]);
  const [chosen, setChosen] = useState(new Set());
  const path = `campaigns/${campaign.key}/unknown`;
  const live = useLive(path, { ledger: page.ledger, most: PAGE, after: past.at(-1) });
  // Asked for anew when their number has changed, and not by time: a list must not move under the reader's
  // hand.
  useEffect(() => {
    if (live.data) live.reload();
  }, [campaign.counts.unknown]);
  const may = campaign.may_edit;
  if (!live.data) return html`<${Pending} live=${live} />`;
  const { recipients: rows, next, as_of: asOf } = live.data;
  const ids = rows.map(({ id }) => id).filter((id) => chosen.has(id));
  const all = rows.length > 0 && ids.length === rows.length;
  const choose = (some, on) =>
    setChosen((last) => {
      const now = new Set(last);
      for (const id of some) {
        if (on) now.add(id);
        else now.delete(id);
      }
      return now;
    });

  async function resolve(outcome, everything) {
    const n = everything ? campaign.counts.unknown : ids.length;
    const sure = await page.ask({
      title: t(outcome === "sent" ? "unknown.sent.title" : "unknown.pending.title", { n }),
      text: t(outcome === "sent" ? "unknown.sent.text" : "unknown.pending.text"),
      yes: t(outcome === "sent" ? "unknown.sent" : "unknown.pending"),
      grave: outcome === "pending",
    });
    if (!sure) return;
    const body = { ...(everything ? { all: true } : { ids }), outcome, as_of: asOf };
    const { resolved } = await post(path, body, { ledger: page.ledger });
    page.say(t(outcome === "sent" ? "unknown.sent.done" : "unknown.pending.done", { n: resolved }));
    setChosen(new Set());
    setPast([]);
    live.reload();
    changed();
  }

  const buttons = (everything) => html`
    <${Action} run=${() => resolve("sent", everything)} disabled=${!may || (!everything && !ids.length)} why=${may ? t("choose_first") : t("may_not.dag")}>
      ${t(everything ? "unknown.sent.all" : "unknown.sent")}
    <//>
    <${Action} kind="danger" run=${() => resolve("pending", everything)} disabled=${!may || (!everything && !ids.length)} why=${may ? t("choose_first") : t("may_not.dag")}>
      ${t(everything ? "unknown.pending.all" : "unknown.pending")}
    <//>
  `;
  return html`
    <div class="scroll">
      <table>
        <thead><tr>
          ${
            may &&
            html`<th class="tick"><input
            type="checkbox" aria-label=${t("choose_all")} checked=${all} indeterminate=${ids.length > 0 && !all}
            onChange=${(event) =>
              choose(
                rows.map(({ id }) => id),
                event.target.checked,
              )}
          /></th>`
          }
          <th scope="col">${t("number")}</th><th scope="col">${t("unknown.sent_at")}</th><th scope="col">${t("unknown.known")}</th>
        </tr></thead>
        <tbody>
          ${rows.map(
            (row) => html`
            <tr key=${row.id}>
              ${
                may &&
                html`<td class="tick"><input
                type="checkbox" aria-label=${t("choose_one", { number: row.number })} checked=${chosen.has(row.id)}
                onChange=${(event) => choose([row.id], event.target.checked)}
              /></td>`
              }
              <th scope="row" class="number">${row.number}</th>
              <td class="number">${exact(row.sent_at)}</td>
              <td>
                ${row.code !== null && html`<code>${row.code}</code> `}${row.reason ?? t("unknown.no_answer")}
                ${row.twice && html` <${Badge} tone="warn">${t("unknown.twice")}<//>`}
              </td>
            </tr>
          `,
          )}
        </tbody>
      </table>
    </div>
    <div class="row">
      ${may && html`<span class="soft" aria-live="polite">${t("chosen", { n: ids.length })}</span>${buttons(false)}`}
      <span class="row push">
        ${past.length > 0 && html`<button type="button" class="button" onClick=${() => setPast(past.slice(0, -1))}>${t("before")}</button>`}
        ${next !== null && html`<button type="button" class="button" onClick=${() => setPast([...past, next])}>${t("after")}</button>`}
      </span>
    </div>
    ${
      may &&
      campaign.counts.unknown > rows.length &&
      html`
      <div class="row"><span class="soft">${t("unknown.all", { n: count(campaign.counts.unknown) })}</span>${buttons(true)}</div>
    `
    }
    ${!may && html`<p class="soft">${t("may_not.dag")}</p>`}
  `;
}
