// A campaign's recipients in doubt, and a person's word about them.
import { html, useEffect, useState } from "./ui.js";
import { post } from "./api.js";
import { count, exact } from "./format.js";
import { useLive } from "./live.js";
import { Action, Icon, Pending, Trouble, usePage } from "./parts.js";
import { t } from "./words.js";

const PAGE = 20;

export function Doubts({ campaign, changed }) {
  const unknown = campaign.counts.unknown;
  if (unknown === 0 || campaign.status === "purged") return null;
  return html`
    <section class="card doubts" aria-labelledby="unknown">
      <h2 id="unknown"><${Icon} name="alert" />${t("doubts.here", { n: unknown })}</h2>
      <p>${t("doubts.explained")}</p>
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
  // Asked for anew when their number has changed, and not by time: a list must not move under a person's hand.
  useEffect(() => {
    if (live.data) live.reload();
  }, [campaign.counts.unknown]);
  const may = campaign.may_edit;
  if (!live.data) return live.problem ? html`<${Trouble} problem=${live.problem} retry=${live.reload} />` : html`<${Pending} live=${live} />`;
  const { recipients: doubts, next, as_of: asOf } = live.data;
  const ids = doubts.map(({ id }) => id).filter((id) => chosen.has(id));
  const all = doubts.length > 0 && ids.length === doubts.length;
  const choose = (some, on) => setChosen((last) => {
    const now = new Set(last);
    for (const id of some) on ? now.add(id) : now.delete(id);
    return now;
  });

  async function resolve(outcome, everything) {
    const n = everything ? campaign.counts.unknown : ids.length;
    const sure = await page.ask({
      title: t(outcome === "sent" ? "doubts.sent.title" : "doubts.pending.title", { n }),
      text: t(outcome === "sent" ? "doubts.sent.text" : "doubts.pending.text"),
      yes: t(outcome === "sent" ? "doubts.sent" : "doubts.pending"),
      grave: outcome === "pending",
    });
    if (!sure) return;
    const body = { ...(everything ? { all: true } : { ids }), outcome, as_of: asOf };
    const { resolved } = await post(path, body, { ledger: page.ledger });
    page.say(t(outcome === "sent" ? "doubts.sent.done" : "doubts.pending.done", { n: resolved }));
    setChosen(new Set());
    setPast([]);
    live.reload();
    changed();
  }

  const buttons = (everything) => html`
    <${Action} run=${() => resolve("sent", everything)} disabled=${!may || (!everything && !ids.length)} why=${may ? t("choose_first") : t("may_not.dag")}>
      ${t(everything ? "doubts.sent.all" : "doubts.sent")}
    <//>
    <${Action} kind="danger" run=${() => resolve("pending", everything)} disabled=${!may || (!everything && !ids.length)} why=${may ? t("choose_first") : t("may_not.dag")}>
      ${t(everything ? "doubts.pending.all" : "doubts.pending")}
    <//>
  `;
  return html`
    <div class="scroll">
      <table>
        <thead><tr>
          ${may && html`<th class="tick"><input
            type="checkbox" aria-label=${t("choose_all")} checked=${all} indeterminate=${ids.length > 0 && !all}
            onChange=${(event) => choose(doubts.map(({ id }) => id), event.target.checked)}
          /></th>`}
          <th scope="col">${t("number")}</th><th scope="col">${t("doubts.sent_at")}</th><th scope="col">${t("doubts.known")}</th>
        </tr></thead>
        <tbody>
          ${doubts.map((doubt) => html`
            <tr key=${doubt.id}>
              ${may && html`<td class="tick"><input
                type="checkbox" aria-label=${t("choose_one", { number: doubt.number })} checked=${chosen.has(doubt.id)}
                onChange=${(event) => choose([doubt.id], event.target.checked)}
              /></td>`}
              <th scope="row" class="digits">${doubt.number}</th>
              <td class="digits">${exact(doubt.sent_at)}</td>
              <td>
                ${doubt.code !== null && html`<code>${doubt.code}</code> `}${doubt.reason ?? t("doubts.no_answer")}
                ${doubt.twice && html` <span class="badge loose">${t("doubts.twice")}</span>`}
              </td>
            </tr>
          `)}
        </tbody>
      </table>
    </div>
    <div class="row wrap">
      ${may && html`<span class="soft" aria-live="polite">${t("chosen", { n: ids.length })}</span>${buttons(false)}`}
      <span class="row push">
        ${past.length > 0 && html`<button type="button" class="button" onClick=${() => setPast(past.slice(0, -1))}>${t("before")}</button>`}
        ${next !== null && html`<button type="button" class="button" onClick=${() => setPast([...past, next])}>${t("after")}</button>`}
      </span>
    </div>
    ${may && campaign.counts.unknown > doubts.length && html`
      <div class="row wrap"><span class="soft">${t("doubts.all", { n: count(campaign.counts.unknown) })}</span>${buttons(true)}</div>
    `}
    ${!may && html`<p class="soft">${t("may_not.dag")}</p>`}
  `;
}
