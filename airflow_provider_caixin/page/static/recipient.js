// One recipient: every message to a number, and whether there may be more.
import { post } from "./api.js";
import { exact, moment } from "./format.js";
import { Action, Trouble, usePage, word } from "./parts.js";
import { campaignLink } from "./route.js";
import { Badge, Empty, Field, Icon } from "./shared/parts.js";
import { html, useState } from "./shared/ui.js";
import { isChinese, known, t } from "./shared/words.js";

export function Recipient() {
  const page = usePage();
  const { may } = page.session;
  const [number, setNumber] = useState("");
  const [recipient, setRecipient] = useState(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);

  async function look(sought) {
    setBusy(true);
    try {
      setRecipient(await post("recipient", { number: sought }, { ledger: page.ledger }));
      setProblem(null);
    } catch (found) {
      setRecipient(null);
      setProblem(found);
    } finally {
      setBusy(false);
    }
  }

  const submit = (event) => {
    event.preventDefault();
    if (number.trim() && !busy) look(number.trim());
  };
  if (!may.look_up)
    return html`<h1>${t("part.recipient")}</h1><${Empty} title=${t("may_not.look_up")}>${t("may_not.look_up.text")}<//>`;
  return html`
    <h1>${t("part.recipient")}</h1>
    <form class="filters" role="search" onSubmit=${submit}>
      <${Field} label=${t("number")} wide>
        ${(id) => html`<input
          id=${id} type="text" inputmode="tel" autocomplete="off" spellcheck="false" maxlength="64" placeholder="13800138000" value=${number}
          aria-describedby="recipient-note" onInput=${(event) => setNumber(event.target.value)}
        />`}
      <//>
      <button type="submit" class="button main" disabled=${!number.trim()} aria-disabled=${busy}><${Icon} name="search" />${t("recipient.look")}</button>
    </form>
    <p class="soft" id="recipient-note">${t("recipient.note")}</p>
    <div class="found" aria-live="polite">
      ${problem && html`<${Trouble} problem=${problem} />`}
      ${recipient && html`<${Found} recipient=${recipient} again=${() => look(recipient.number)} />`}
    </div>
  `;
}

function Found({ recipient, again }) {
  const page = usePage();
  const { may } = page.session;
  const { number, suppressed, messages } = recipient;

  async function suppress() {
    const reason = await page.ask({
      title: t("suppress.title", { number }),
      text: t("suppress.text"),
      field: t("suppress.reason"),
      value: t("suppress.usual"),
      input: { type: "text", maxlength: "200" },
      yes: t("suppress"),
    });
    if (reason === null) return;
    await post("recipient/suppress", { number, reason: reason.trim() || null }, { ledger: page.ledger });
    page.say(t("suppressed.done", { number }));
    await again();
  }

  async function release() {
    const sure = await page.ask({
      title: t("release.title", { number }),
      text: t("release.text"),
      yes: t("release"),
      grave: true,
    });
    if (!sure) return;
    await post("recipient/release", { number }, { ledger: page.ledger });
    page.say(t("released.done", { number }));
    await again();
  }

  return html`
    <section class="card" aria-labelledby="found">
      <div class="title">
        <h2 id="found" class="number">${number}</h2>
        <${Badge} tone=${suppressed ? "bad" : "good"}>${t(suppressed ? "suppressed" : "not_suppressed")}<//>
        <span class="push">
          ${
            suppressed
              ? html`<${Action} run=${release} disabled=${!may.release} why=${t("may_not.release")}>${t("release")}<//>`
              : html`<${Action} kind="danger" run=${suppress} disabled=${!may.suppress} why=${t("may_not.look_up.text")}>${t("suppress")}<//>`
          }
        </span>
      </div>
      <dl class="meta">
        <div><dt>${t("carrier")}</dt><dd>${recipient.carrier ? word("carrier", recipient.carrier) : t("not_known")}</dd></div>
        <div><dt>${t("region")}</dt><dd>${recipient.region ?? t("not_known")}</dd></div>
        ${
          suppressed &&
          html`
          <div><dt>${t("suppressed.since")}</dt><dd>${moment(suppressed.added_at)}</dd></div>
          <div><dt>${t("suppress.reason")}</dt><dd>${suppressed.reason ?? "–"}</dd></div>
        `
        }
      </dl>
      ${suppressed && !may.release && html`<p class="soft">${t("may_not.release")}</p>`}
    </section>
    <section aria-labelledby="history">
      <h2 id="history">${t("history")}</h2>
      ${
        messages.length === 0
          ? html`<${Empty} title=${t("history.none")}>${t("history.none.text")}<//>`
          : html`<div class="card scroll"><table class="history">
            <thead><tr>
              <th scope="col">${t("history.at")}</th><th scope="col">${t("campaign")}</th><th scope="col">${t("template")}</th>
              <th scope="col">${t("outcome")}</th><th scope="col">sid</th>
            </tr></thead>
            <tbody>${messages.map((message, index) => html`<${Message} key=${index} message=${message} />`)}</tbody>
          </table></div>`
      }
    </section>
  `;
}

/** Return the word of a state; some reasons make it another one. */
function stateWord(state, reason) {
  const own = `state.${state}.${reason}`;
  return known(own) ? t(own) : word("state", state);
}

function Message({ message }) {
  const { state, reason, code } = message;
  const text = code !== null && code !== 0 ? (isChinese() ? message.code_zh : message.code_en) : null;
  return html`
    <tr>
      <td class="number" data-label=${t("history.at")}>${exact(message.at)}</td>
      <th scope="row"><a class="id" href=${campaignLink(message.key)}>${message.campaign_id}</a></th>
      <td data-label=${t("template")}>${message.tpl_id}</td>
      <td data-label=${t("outcome")}>
        <span class="state" data-state=${state}><i></i>${stateWord(state, reason)}</span>
        ${text && html`<span class="soft"><code>${code}</code> ${text}</span>`}
        ${reason && html`<span class="soft">${word("reason", reason)}</span>`}
      </td>
      <td data-label="sid">${message.sid ? html`<code class="id">${message.sid}</code>` : "–"}</td>
    </tr>
  `;
}
