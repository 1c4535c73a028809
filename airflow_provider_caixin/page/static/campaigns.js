// The list of campaigns.
import { get } from "./api.js";
import { duration, moment, rate } from "./format.js";
import { said } from "./language.js";
import { useLive } from "./live.js";
import { Action, Bar, Pending, Stale, Status, usePage } from "./parts.js";
import { campaignLink, remember, replace } from "./route.js";
import { count } from "./shared/format.js";
import { Badge, Empty, Field, Icon } from "./shared/parts.js";
import { html, useEffect, useState } from "./shared/ui.js";
import { t } from "./shared/words.js";

const STATUSES = ["running", "loading", "waiting", "paused", "done", "cancelled", "purged"];
/** Statuses in which the numbers change by themselves. */
export const MOVING = new Set(["running", "loading"]);
const TYPING_MILLISECONDS = 300;

/** How much of a campaign is done. */
export function done({ counts, total, status }) {
  if (status === "loading") return t("progress.loading");
  return t("progress.short", { settled: total - counts.pending - counts.in_flight, total });
}

/** How fast a campaign is and how long it takes, as far as both are known. */
export function speed(campaign) {
  const found = [];
  if (campaign.status === "running" && campaign.rate_now !== null)
    found.push(t("rate", { rate: rate(campaign.rate_now) }));
  if (campaign.eta !== null && campaign.eta !== undefined && campaign.status === "running") {
    found.push(t("left", { time: duration(campaign.eta) }));
  }
  return found;
}

/** A text that follows what is typed when the typing rests. */
function useRested(value) {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), TYPING_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [value]);
  return rested;
}

export function Campaigns({ route }) {
  const asked = route.query.get("id");
  return asked ? html`<${ById} id=${asked} />` : html`<${List} query=${route.query} />`;
}

/** A link that knows the campaign's id alone. */
function ById({ id }) {
  const page = usePage();
  const live = useLive("campaigns/by-id", { id, ledger: page.ledger });
  useEffect(() => {
    if (live.data) replace(campaignLink(live.data.key));
  }, [live.data]);
  if (live.problem?.kind === "not_found") {
    return html`
      <h1>${t("part.campaigns")}</h1>
      <${Empty} title=${t("campaign.unknown")}>${t("campaign.unknown.text", { id })}<//>
      <p><a class="button" href="#/campaigns">${t("all_campaigns")}</a></p>
    `;
  }
  return html`<h1>${t("part.campaigns")}</h1><${Pending} live=${live} />`;
}

function List({ query }) {
  const page = usePage();
  const [search, setSearch] = useState(query.get("search") ?? "");
  const [status, setStatus] = useState(query.get("status") ?? "");
  // A number is looked up where no address and no log keeps it.
  const isNumber = /^(\+?86)?1\d{10}$/.test(search.replace(/[\s-]/g, ""));
  const rested = useRested(isNumber ? "" : search.trim());
  const question = { search: rested, status, ledger: page.ledger };
  const live = useLive("campaigns", question, (data) => data.campaigns.some((one) => MOVING.has(one.status)));
  const [more, setMore] = useState({ rows: [], next: null, of: null });
  const asked = JSON.stringify(question);
  useEffect(() => remember("campaigns", { search: rested, status }), [rested, status]);

  const older = more.of === asked ? more : { rows: [], next: live.data?.next ?? null };
  const fresh = live.data?.campaigns ?? [];
  // A new campaign moves the first page on: what both hold is shown once, and what fell between is shown
  // still.
  const seen = new Set(fresh.map(({ key }) => key));
  const rows = [...fresh, ...older.rows.filter(({ key }) => !seen.has(key))];
  const load = async () => {
    const found = await get("campaigns", { ...question, before: older.next });
    const kept = more.of === asked ? more.rows : fresh;
    setMore({ rows: [...kept, ...found.campaigns], next: found.next, of: asked });
  };

  return html`
    <h1>${t("part.campaigns")}</h1>
    <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      <${Field} label=${t("campaigns.search")} wide>
        ${(id) => html`<input
          id=${id} type="search" value=${search} placeholder=${t("campaigns.search.text")}
          onInput=${(event) => setSearch(event.target.value)}
        />`}
      <//>
      <${Field} label=${t("campaigns.status")}>
        ${(id) => html`<select id=${id} value=${status} onChange=${(event) => setStatus(event.target.value)}>
          <option value="">${t("any")}</option>
          ${STATUSES.map((name) => html`<option key=${name} value=${name}>${t(`status.${name}`)}</option>`)}
        </select>`}
      <//>
    </form>
    <${Stale} live=${live} />
    ${isNumber && html`<p role="status">${t("campaigns.number")} <a href="#/recipient">${t("part.recipient")}</a></p>`}
    ${
      !live.data
        ? html`<${Pending} live=${live} />`
        : rows.length === 0
          ? rested || status
            ? html`<${Empty} title=${t("campaigns.none_such")}>${t("campaigns.none_such.text")}<//>`
            : html`<${Empty} title=${t("campaigns.none")}>${t("campaigns.none.text")}<//>`
          : html`
            <div class="card scroll">
              <table class="campaigns">
                <thead><tr>
                  <th scope="col">${t("campaign")}</th><th scope="col">${t("campaigns.status")}</th>
                  <th scope="col">${t("progress")}</th><th scope="col" class="figure">${t("state.sent")}</th>
                  <th scope="col" class="figure">${t("state.unknown")}</th><th scope="col" class="figure">${t("created")}</th>
                </tr></thead>
                <tbody>${rows.map((campaign) => html`<${Line} key=${campaign.key} campaign=${campaign} />`)}</tbody>
              </table>
            </div>
            ${older.next !== null && html`<p class="row center"><${Action} run=${load}>${t("more")}<//></p>`}
          `
    }
  `;
}

const Line = ({ campaign }) => html`
  <tr>
    <th scope="row">
      <a class="id" href=${campaignLink(campaign.key)}>${campaign.campaign_id}</a>
      <span class="soft">${t("template.n", { id: String(campaign.tpl_id) })} · ${campaign.account}</span>
    </th>
    <td>
      <${Status} status=${campaign.status} />
      ${campaign.loosened.length > 0 && html` <${Badge} tone="warn" title=${campaign.loosened.map((one) => said(one)[0]).join("\n")}>${t("loosened")}<//>`}
    </td>
    <td class="wide">
      <${Bar} counts=${campaign.counts} total=${campaign.total} label=${t("progress.of", { id: campaign.campaign_id })} />
      <span class="soft">${[campaign.status === "loading" ? done(campaign) : t("recipients.n", { n: campaign.total }), ...speed(campaign)].join(" · ")}</span>
    </td>
    <td class="figure" data-label=${t("state.sent")}>${count(campaign.counts.sent)}</td>
    <td class="figure" data-label=${t("state.unknown")}>
      ${
        campaign.counts.unknown > 0
          ? html`<span class="unsettled"><${Icon} name="alert" />${count(campaign.counts.unknown)}</span>`
          : "0"
      }
    </td>
    <td class="figure" data-label=${t("created")}>${moment(campaign.created_at)}</td>
  </tr>
`;
