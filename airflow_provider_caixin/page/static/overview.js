// What is going on now: accounts, campaigns under way, unknown outcomes that want a decision.
import { post } from "./api.js";
import { done, MOVING, speed } from "./campaigns.js";
import { duration, moment, percent, rate } from "./format.js";
import { useLive } from "./live.js";
import { Action, Bar, Meter, Pending, Stale, Status, usePage } from "./parts.js";
import { campaignLink } from "./route.js";
import { clock, count } from "./shared/format.js";
import { Badge, Empty, Icon, Note, Switch } from "./shared/parts.js";
import { html, useState } from "./shared/ui.js";
import { t } from "./shared/words.js";

export function Overview() {
  const page = usePage();
  const live = useLive("overview", { ledger: page.ledger }, (data) =>
    data.campaigns.some(({ status }) => MOVING.has(status)),
  );
  if (!live.data) return html`<h1>${t("part.overview")}</h1><${Pending} live=${live} />`;
  const { accounts, campaigns, unknown, today, now } = live.data;
  return html`
    <div class="title"><h1>${t("part.overview")}</h1><${Today} today=${today} /></div>
    <${Stale} live=${live} />
    ${unknown.length > 0 && html`<${Unknown} campaigns=${unknown} now=${now} />`}
    <section aria-labelledby="accounts">
      <h2 id="accounts">${t("accounts")}</h2>
      ${
        accounts.length === 0
          ? html`<${Unconnected} session=${page.session} />`
          : html`<ul class="accounts">
            ${accounts.map(
              (account) => html`
              <${Account} key=${account.name} account=${account} now=${now} campaigns=${campaigns} changed=${live.reload} />
            `,
            )}
          </ul>`
      }
    </section>
    <section aria-labelledby="running">
      <div class="title"><h2 id="running">${t("current")}</h2><a href="#/campaigns">${t("all_campaigns")}</a></div>
      ${
        campaigns.length === 0
          ? html`<${Empty} title=${t("current.none")}>${t("current.none.text")}<//>`
          : html`<ul class="card list">
            ${campaigns.map((campaign) => html`<${Row} key=${campaign.key} campaign=${campaign} changed=${live.reload} />`)}
          </ul>`
      }
    </section>
  `;
}

const Today = ({ today }) => html`
  <dl class="today">
    <div><dt>${t("today.billed")}</dt><dd>${count(today.billed)}</dd></div>
    ${today.possibly > 0 && html`<div class="unsettled"><dt>${t("today.possibly")}</dt><dd>${count(today.possibly)}</dd></div>`}
  </dl>
`;

function Unconnected({ session }) {
  return html`
    <${Empty} title=${t("connections.none")}>${t("connections.none.text")}<//>
    ${session.connections
      .filter(({ problem }) => problem)
      .map(
        ({ id, problem }) => html`
      <${Note} key=${id}><b>${id}</b>: ${problem}<//>
    `,
      )}
  `;
}

const Unknown = ({ campaigns, now }) => html`
  <section class="card unknown" aria-labelledby="unknown">
    <h2 id="unknown"><${Icon} name="alert" />${t("unknown")}</h2>
    <p class="soft">${t("unknown.text")}</p>
    <ul>
      ${campaigns.map(
        (campaign) => html`
        <li key=${campaign.key}>
          <a href=${campaignLink(campaign.key)}>${campaign.campaign_id}</a>
          <span class="soft">${t("template.n", { id: String(campaign.tpl_id) })}</span>
          <span class="unsettled">${t("unknown.n", { n: campaign.unknown })}</span>
          ${campaign.oldest !== null && html`<span class="soft">${t("unknown.age", { age: duration(now - campaign.oldest) })}</span>`}
          <a class="button" href=${campaignLink(campaign.key)}>${campaign.may_edit ? t("decide") : t("look")}</a>
        </li>
      `,
      )}
    </ul>
  </section>
`;

function Account({ account, now, campaigns, changed }) {
  const page = usePage();
  const [paused, setPaused] = useState(null);
  const open = campaigns.filter(
    (campaign) => campaign.account === account.name && campaign.status !== "done",
  );
  const isPaused = paused ?? account.paused;

  async function stop(pause) {
    if (!pause) {
      const sure = await page.ask({
        title: t("account.resume", { account: account.name }),
        text: t("account.resume.text", { n: open.length }),
        yes: t("resume"),
      });
      if (!sure) return;
    }
    setPaused(pause);
    try {
      await post("accounts/pause", { account: account.name, paused: pause }, { ledger: page.ledger });
      page.say(t(pause ? "account.paused" : "account.resumed", { account: account.name }));
    } catch (problem) {
      page.say(problem.message, true);
    }
    setPaused(null);
    changed();
  }

  async function limit() {
    const given = await page.ask({
      title: t("limit.of", { account: account.name }),
      text: t("limit.text"),
      field: t("limit"),
      value: account.max_per_day ?? "",
      input: { type: "number", min: "0", step: "1", inputmode: "numeric" },
      yes: t("save"),
    });
    if (given === null) return;
    const most = given === "" ? null : Number(given);
    await post("accounts/limit", { account: account.name, max_per_day: most }, { ledger: page.ledger });
    page.say(t("limit.saved"));
    changed();
  }

  return html`
    <li class="card account" data-paused=${isPaused ? "" : null}>
      <div class="title">
        <h3 title=${account.name}>${account.name}</h3>
        <${Switch}
          on=${!isPaused} label=${t(isPaused ? "account.is_paused" : "account.is_on")}
          disabled=${!account.may_edit} why=${t("may_not.account")} change=${(on) => stop(!on)}
        />
      </div>
      ${account.connections.length > 0 && html`<p class="soft ids">${account.connections.join(", ")}</p>`}
      <${Window} window=${account.window} known=${account.connections.length > 0} now=${now} />
      <dl class="facts">
        <div>
          <dt>${t("account.day")}</dt>
          <dd>
            <b>${count(account.day_count)}</b>
            ${account.max_per_day !== null && html` <span class="soft">${t("of", { most: account.max_per_day })}</span>`}
          </dd>
          ${
            account.max_per_day !== null &&
            html`
            <${Meter} value=${account.day_count} most=${account.max_per_day} label=${t("account.day")} />
          `
          }
          ${
            account.may_edit &&
            html`<${Action} kind="plain" run=${limit}>
            ${t(account.max_per_day === null ? "limit.set" : "limit.change")}
          <//>`
          }
          ${account.limit_set_here && html`<span class="soft">${t("limit.set_here")}</span>`}
        </div>
        <div>
          <dt>${t("account.rate")}</dt>
          <dd>
            <b>${account.rate_now === null ? "–" : rate(account.rate_now)}</b>
            ${account.rate !== null && html` <span class="soft">${t("of_rate", { most: rate(account.rate) })}</span>`}
          </dd>
          ${
            account.rate !== null &&
            account.rate_now !== null &&
            html`
            <${Meter} value=${account.rate_now} most=${account.rate} label=${t("account.rate")} />
          `
          }
          ${account.last_sent_at !== null && html`<span class="soft">${t("account.last", { time: moment(account.last_sent_at, now) })}</span>`}
        </div>
      </dl>
      ${account.quota_since !== null && html`<${Note}>${t("account.quota", { time: moment(account.quota_since, now) })}<//>`}
      ${account.pace < 1 && html`<${Note}>${t("account.slowed", { share: percent(account.pace, 1) })}<//>`}
      ${account.failures > 0 && html`<${Note}>${t("account.failures", { n: account.failures })}<//>`}
    </li>
  `;
}

function Window({ window, known, now }) {
  if (!window && !known)
    return html`<p class="window"><span class="dot"></span><span>${t("window.unknown")}</span></p>`;
  if (!window)
    return html`<p class="window"><span class="dot" data-open=""></span><span>${t("window.none")}</span></p>`;
  const at = window.open ? window.closes_at : window.opens_at;
  return html`
    <div class="window">
      <span class="dot" data-open=${window.open ? "" : null}></span>
      <span>
        <b>${t(window.open ? "window.open" : "window.closed")}</b>${" "}
        ${at !== null && t(window.open ? "window.closes" : "window.opens", { time: moment(at, now), left: duration(at - now) })}
      </span>
      <${Day} text=${window.text} now=${now} />
    </div>
  `;
}

/** The day from 00:00 to 24:00 with its send window and the present. */
function Day({ text, now }) {
  const found = /^(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(text);
  if (!found) return html`<span class="soft">${text}</span>`;
  const [from, to] = [found[1] * 60 + +found[2], found[3] * 60 + +found[4]];
  const [hours, minutes] = clock(now).split(":").map(Number);
  const share = (minute) => `${(100 * minute) / 1440}%`;
  // A window over midnight is two pieces.
  const pieces =
    from <= to
      ? [[from, to]]
      : [
          [0, to],
          [from, 1440],
        ];
  return html`
    <div class="day" aria-hidden="true">
      ${pieces.map(([start, end]) => html`<i key=${start} style=${{ left: share(start), width: share(end - start) }}></i>`)}
      <b style=${{ left: share(hours * 60 + minutes) }}></b>
    </div>
    <span class="soft">${text}</span>
  `;
}

function Row({ campaign, changed }) {
  const page = usePage();
  const { counts, total } = campaign;
  const pause = async (paused) => {
    await post(`campaigns/${campaign.key}/pause`, { paused }, { ledger: page.ledger });
    page.say(t(paused ? "campaign.paused" : "campaign.resumed", { id: campaign.campaign_id }));
    changed();
  };
  return html`
    <li class="current">
      <div class="title">
        <a class="id" href=${campaignLink(campaign.key)}>${campaign.campaign_id}</a>
        <${Status} status=${campaign.status} />
        ${campaign.loosened.length > 0 && html`<${Badge} tone="warn">${t("loosened")}<//>`}
        <span class="push">
          ${
            !campaign.may_edit
              ? null
              : campaign.paused
                ? html`<${Action} run=${() => pause(false)} label=${t("resume.of", { id: campaign.campaign_id })}>${t("resume")}<//>`
                : html`<${Action} run=${() => pause(true)} label=${t("pause.of", { id: campaign.campaign_id })}>${t("pause")}<//>`
          }
        </span>
      </div>
      <${Bar} counts=${counts} total=${total} label=${t("progress.of", { id: campaign.campaign_id })} />
      <p class="soft row">
        <span>${done(campaign)}</span>
        ${speed(campaign).map((text) => html`<span key=${text}>${text}</span>`)}
        ${counts.unknown > 0 && html`<span class="unsettled">${t("unknown.n", { n: counts.unknown })}</span>`}
        ${campaign.account_paused && html`<span>${t("account.is_paused")}</span>`}
      </p>
    </li>
  `;
}
