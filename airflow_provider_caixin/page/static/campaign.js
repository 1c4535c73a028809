// One campaign: where its audience went, how fast, and what can be done about it.
import { address, post } from "./api.js";
import { done, MOVING, speed } from "./campaigns.js";
import { Chart } from "./chart.js";
import { exact, moment, percent, rate } from "./format.js";
import { meaning, said } from "./language.js";
import { useLive } from "./live.js";
import { Action, Bar, Copy, Download, Out, Pending, STATES, Stale, Status, usePage, word } from "./parts.js";
import { count } from "./shared/format.js";
import { Empty, Field, Icon, Note } from "./shared/parts.js";
import { html, useEffect, useRef, useState } from "./shared/ui.js";
import { isChinese, known, t } from "./shared/words.js";
import { Unknown } from "./unknown.js";

const OVER = new Set(["cancelled", "purged"]);

export function Campaign({ id }) {
  const page = usePage();
  const live = useLive(`campaigns/${encodeURIComponent(id)}`, { ledger: page.ledger }, (one) =>
    MOVING.has(one.status),
  );
  // What a reader who does not see the bar wants to hear of it: not each step, but where it stands now.
  const status = live.data?.status;
  const last = useRef(status);
  useEffect(() => {
    if (last.current && status && status !== last.current)
      page.say(t("campaign.now", { status: word("status", status) }));
    last.current = status;
  }, [status]);
  if (!live.data) {
    return html`
      <${Back} />
      ${
        live.problem?.kind === "not_found"
          ? html`<h1>${t("campaign")}</h1><${Empty} title=${t("campaign.unknown")}>${live.problem.message}<//>`
          : html`<h1>${t("campaign")}</h1><${Pending} live=${live} />`
      }
    `;
  }
  const campaign = live.data;
  return html`
    <${Back} />
    <${Title} campaign=${campaign} changed=${live.reload} />
    <${Stale} live=${live} />
    ${campaign.loosened.length > 0 && html`<${Loosened} sentences=${campaign.loosened} />`}
    <${Progress} campaign=${campaign} />
    <${Unknown} campaign=${campaign} changed=${live.reload} />
    <div class="columns">
      <${Funnel} campaign=${campaign} />
      <${Skipped} campaign=${campaign} />
    </div>
    <${Rejected} campaign=${campaign} changed=${live.reload} />
    <${Minutes} campaign=${campaign} />
    <${Report} campaign=${campaign} />
  `;
}

const Back = () =>
  html`<p class="back"><a href="#/campaigns"><${Icon} name="back" />${t("all_campaigns")}</a></p>`;

function Title({ campaign, changed }) {
  const page = usePage();
  const { key, campaign_id: id, counts, may_edit: may } = campaign;
  const over = OVER.has(campaign.status);
  const send = (what, body) => post(`campaigns/${key}/${what}`, body, { ledger: page.ledger });

  async function pause(paused) {
    await send("pause", { paused });
    page.say(t(paused ? "campaign.paused" : "campaign.resumed", { id }));
    changed();
  }

  async function cancel() {
    const sure = await page.ask({
      title: t("cancel.title"),
      text: t("cancel.text", { n: counts.pending, id }),
      yes: t("cancel.yes"),
      grave: true,
    });
    if (!sure) return;
    await send("cancel", {});
    page.say(t("campaign.cancelled", { id }));
    changed();
  }

  return html`
    <div class="title campaign">
      <h1 class="id">${id}</h1>
      <${Copy} text=${id} label=${t("copy.campaign")} />
      <${Status} status=${campaign.status} />
      ${
        !over &&
        html`<span class="row push">
        ${
          campaign.paused
            ? html`<${Action} kind="main" run=${() => pause(false)} disabled=${!may} why=${t("may_not.dag")}>${t("resume")}<//>`
            : html`<${Action} run=${() => pause(true)} disabled=${!may} why=${t("may_not.dag")}>${t("pause")}<//>`
        }
        <${Action} kind="danger" run=${cancel} disabled=${!may} why=${t("may_not.dag")}>${t("cancel")}<//>
      </span>`
      }
    </div>
    ${!may && html`<p class="soft">${t("may_not.dag")}</p>`}
    <dl class="meta">
      <div><dt>${t("template")}</dt><dd>${campaign.tpl_id}</dd></div>
      <div><dt>${t("account")}</dt><dd>${campaign.account}</dd></div>
      <div><dt>Dag</dt><dd>${linked(campaign.links.dag, campaign.dag_id) ?? t("command_line")}</dd></div>
      ${campaign.run_id && html`<div><dt>${t("run")}</dt><dd>${linked(campaign.links.run, campaign.run_id)}</dd></div>`}
      ${
        campaign.task_id &&
        html`<div>
        <dt>${t("task")}</dt>
        <dd>${linked(campaign.links.task, campaign.map_index >= 0 ? `${campaign.task_id} [${campaign.map_index}]` : campaign.task_id)}</dd>
      </div>`
      }
      <div><dt>${t("created")}</dt><dd>${moment(campaign.created_at)}</dd></div>
      <div><dt>${t("active")}</dt><dd>${moment(campaign.active_at)}</dd></div>
    </dl>
    ${campaign.account_paused && html`<${Note}>${t("campaign.account_paused", { account: campaign.account })}<//>`}
    ${campaign.quota_since !== null && html`<${Note}>${t("account.quota", { time: moment(campaign.quota_since) })}<//>`}
    ${campaign.status === "purged" && html`<${Note}>${t("campaign.is_purged")}<//>`}
  `;
}

const linked = (href, text) => (text === null ? null : href ? html`<${Out} href=${href}>${text}<//>` : text);

const Loosened = ({ sentences }) => html`
  <section class="note" data-tone="warn" aria-labelledby="loosened">
    <${Icon} name="alert" />
    <div>
      <h2 id="loosened">${t("loosened.title")}</h2>
      <ul>${sentences.map((sentence) => {
        const [text, lang] = said(sentence);
        return html`<li key=${sentence} lang=${lang}>${text}</li>`;
      })}</ul>
    </div>
  </section>
`;

function Progress({ campaign }) {
  const { counts, total } = campaign;
  const settled = total - counts.pending - counts.in_flight;
  return html`
    <section class="card" aria-label=${t("progress")}>
      <div class="title">
        <p class="huge">${percent(settled, total)}</p>
        <p class="soft">${[done(campaign), ...speed(campaign)].join(" · ")}</p>
      </div>
      <${Bar} counts=${counts} total=${total} label=${t("progress")} />
      <dl class="states">
        ${STATES.map(
          (state) => html`
          <div key=${state} data-state=${state}><dt><i></i>${t(`state.${state}`)}</dt><dd>${count(counts[state])}</dd></div>
        `,
        )}
      </dl>
    </section>
  `;
}

/** From the audience to what was billed, each step with what was lost on the way. */
function Funnel({ campaign }) {
  const { counts, total } = campaign;
  const steps = [
    ["audience", total],
    ["allowed", total - counts.skipped],
    ["requested", counts.sent + counts.rejected + counts.unknown],
    ["accepted", counts.sent],
  ];
  return html`
    <section class="card" aria-labelledby="funnel">
      <h2 id="funnel">${t("funnel")}</h2>
      <ol class="funnel">
        ${steps.map(
          ([name, number]) => html`
          <li key=${name} data-step=${name}>
            <span>${t(`funnel.${name}`)}</span>
            <b>${count(number)} <small>${percent(number, total)}</small></b>
            <i style=${{ width: `${total ? (100 * number) / total : 0}%` }}></i>
          </li>
        `,
        )}
      </ol>
      <p class="soft">${t("funnel.text")}</p>
    </section>
  `;
}

function Skipped({ campaign }) {
  const rows = [...campaign.skipped].sort((one, other) => other.count - one.count);
  const most = rows[0]?.count ?? 0;
  return html`
    <section class="card" aria-labelledby="skipped">
      <h2 id="skipped">${t("skipped")}</h2>
      ${
        rows.length === 0
          ? html`<p class="soft">${t("skipped.none")}</p>`
          : html`<ul class="reasons">
            ${rows.map(
              ({ reason, count: number }) => html`
              <li key=${reason}>
                <span><b>${word("reason", reason)}</b>${known(`why.${reason}`) && html`<small class="soft">${t(`why.${reason}`)}</small>`}</span>
                <span class="figure">${count(number)}</span>
                <i style=${{ width: `${(100 * number) / most}%` }}></i>
              </li>
            `,
            )}
          </ul>`
      }
    </section>
  `;
}

function Rejected({ campaign, changed }) {
  const page = usePage();
  if (campaign.rejected.length === 0) return null;
  const over = OVER.has(campaign.status);
  const retry = async ({ code, count: number }) => {
    const sure = await page.ask({
      title: t("retry.title", { code: String(code) }),
      text: t("retry.text", { n: number }),
      yes: t("retry.yes"),
    });
    if (!sure) return;
    const { retried } = await post(`campaigns/${campaign.key}/retry`, { code }, { ledger: page.ledger });
    page.say(t("retried", { n: retried }));
    changed();
  };
  return html`
    <section class="card" aria-labelledby="rejected">
      <h2 id="rejected">${t("rejected")}</h2>
      <ul class="codes">
        ${campaign.rejected.map((entry) => {
          const { text, cause, remedy } = entry.code === null ? { text: t("no_code") } : meaning(entry);
          return html`
            <li key=${entry.code}>
              <div class="title">
                <h3>${entry.code !== null && html`<code>${entry.code}</code> `}${text}</h3>
                <b class="figure">${count(entry.count)}</b>
                ${
                  !over &&
                  entry.code !== null &&
                  html`<${Action}
                  run=${() => retry(entry)} disabled=${!campaign.may_edit} why=${t("may_not.dag")}
                  label=${t("retry.title", { code: String(entry.code) })}
                >${t("retry.do")}<//>`
                }
              </div>
              ${!isChinese() && entry.code !== null && entry.zh !== text && html`<p class="soft" lang="zh-CN">${entry.zh}</p>`}
              ${cause && html`<p>${cause}</p>`}
              ${remedy && html`<p><b>${t("remedy")}</b> ${remedy}</p>`}
            </li>
          `;
        })}
      </ul>
      ${!over && html`<p class="soft">${t("retry.note")}</p>`}
    </section>
  `;
}

const OUTCOMES = [
  ["sent", 1],
  ["rejected", 2],
  ["unknown", 3],
];

function Minutes({ campaign }) {
  const { minutes, minute_width: width, rate: allowed } = campaign;
  const title = html`<h2 id="minutes">${t("minutes")}</h2>`;
  if (minutes.length === 0) {
    return html`<section class="card" aria-labelledby="minutes">${title}<p class="soft">${t("minutes.none")}</p></section>`;
  }
  const per = Math.max(1, width / 60);
  const series = OUTCOMES.map(([state, column]) => ({
    name: t(`state.${state}`),
    colour: state,
    values: minutes.map((row) => Math.round(row[column] / per)),
  }));
  const requests = minutes.reduce((sum, row) => sum + row[1] + row[2] + row[3], 0);
  return html`
    <section class="card" aria-labelledby="minutes">
      <div class="title">${title}
        <p class="soft">${allowed === null ? t("minutes.text") : t("minutes.limit", { rate: rate(allowed), minute: Math.round(allowed * 60) })}</p>
      </div>
      <${Chart}
        times=${minutes.map((row) => row[0])} series=${series} width=${width}
        limit=${allowed === null ? null : allowed * 60} limitName=${t("minutes.allowed")}
        label=${t("minutes.label", { n: requests, from: moment(minutes[0][0]), to: moment(minutes.at(-1)[0]) })}
      />
      ${per > 1 && html`<p class="soft">${t("minutes.wide", { n: Math.round(per) })}</p>`}
    </section>
  `;
}

function Report({ campaign }) {
  const page = usePage();
  const [state, setState] = useState("");
  const [reason, setReason] = useState("");
  const reasons = state === "skipped" ? campaign.skipped.map((one) => one.reason) : [];
  const path = address(`campaigns/${campaign.key}/report`, {
    ledger: page.ledger,
    state,
    reason: state === "skipped" ? reason : "",
  });
  return html`
    <section class="card" aria-labelledby="report">
      <h2 id="report">${t("report")}</h2>
      <p class="soft">${t("report.text", { time: exact(campaign.as_of) })}</p>
      ${
        !campaign.may_edit
          ? html`<p>${t("may_not.report")}</p>`
          : campaign.status === "purged"
            ? html`<p>${t("campaign.is_purged")}</p>`
            : html`<div class="filters">
              <${Field} label=${t("report.state")}>
                ${(
                  id,
                ) => html`<select id=${id} value=${state} onChange=${(event) => setState(event.target.value)}>
                  <option value="">${t("any")}</option>
                  ${STATES.map((name) => html`<option key=${name} value=${name}>${t(`state.${name}`)}</option>`)}
                </select>`}
              <//>
              ${
                reasons.length > 0 &&
                html`<${Field} label=${t("report.reason")}>
                ${(
                  id,
                ) => html`<select id=${id} value=${reason} onChange=${(event) => setReason(event.target.value)}>
                  <option value="">${t("any")}</option>
                  ${reasons.map((name) => html`<option key=${name} value=${name}>${word("reason", name)}</option>`)}
                </select>`}
              <//>`
              }
              <${Download} href=${path}>${t("report.download")}<//>
            </div>`
      }
    </section>
  `;
}
