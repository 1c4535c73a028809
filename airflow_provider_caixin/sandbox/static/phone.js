// One telephone, with what it received as it would look there, and what it did not receive in between.
import { contentOf, labels, mediaOf, reasons, spaced, Time } from "./meaning.js";
import { day } from "./shared/format.js";
import { Badge, Content, Icon } from "./shared/parts.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./shared/ui.js";
import { t } from "./shared/words.js";

export const MOST_ROWS = 100;
// Browsers allow some 75 players on a page, so only the newest videos show their first frame before they
// play.
const WITH_FRAME = 5;
const AT_END_PIXELS = 40;

/** The telephone of a number; rows come newest first, and are null while they are not there yet. */
export function Phone({ number, rows, templates }) {
  const thread = useRef(null);
  const shownFor = useRef(null);
  const box = thread.current;
  const atEnd = !box || box.scrollHeight - box.scrollTop - box.clientHeight < AT_END_PIXELS;
  useLayoutEffect(() => {
    if (!thread.current) return;
    if (atEnd || shownFor.current !== number) thread.current.scrollTop = thread.current.scrollHeight;
    shownFor.current = number;
  });
  if (number === null) return html`<p class="hint">${t("phone.none")}</p>`;
  if (rows === null) return null;
  const bills = rows[0]?.bills ?? 0;
  return html`
    <header>
      <h2>${spaced(number)}</h2>
      <p data-tone=${bills > 1 ? "bad" : null}>${bills > 0 ? t("phone.billed", { n: bills }) : t("phone.sender")}</p>
    </header>
    <div class="thread" tabindex="0" role="region" aria-label=${t("phone")} key=${number} ref=${thread}>
      ${rows.length === 0 && html`<p class="hint">${t("phone.empty")}</p>`}
      ${rows.length >= MOST_ROWS && html`<p class="day">${t("phone.more", { n: MOST_ROWS })}</p>`}
      ${inOrder(rows, templates)}
    </div>
  `;
}

function inOrder(rows, templates) {
  const found = [];
  const today = day(Date.now() / 1000);
  let last = "";
  for (const [age, row] of [...rows.entries()].reverse()) {
    const date = day(row.at);
    if (date !== last) found.push(html`<p class="day" key=${date}>${date === today ? t("today") : date}</p>`);
    last = date;
    const template = templates.get(row.tpl_id);
    found.push(
      row.billed
        ? html`<${Bubble} key=${row.n} row=${row} template=${template} isRecent=${age < WITH_FRAME} />`
        : html`<${Missed} key=${row.n} row=${row} />`,
    );
  }
  return found;
}

const Bubble = ({ row, template, isRecent }) => html`
  <article class="bubble" data-n=${row.n}>
    ${template && html`<${Media} template=${template} isRecent=${isRecent} />`}
    <p class="text">
      ${template ? html`<${Content} ...${contentOf(template)} />` : t("template.none", { id: row.tpl_id })}
    </p>
    <footer>
      <${Time} at=${row.at} />
      ${labels(row).map(([tone, text]) => html`<${Badge} tone=${tone}>${text}<//>`)}
      ${template && html`<span class="soft">${t("template", { id: row.tpl_id })}</span>`}
      <code class="sid">${t("sid", { sid: row.sid })}</code>
      ${reasons(row).map((reason) => html`<span class="why">${reason}</span>`)}
    </footer>
  </article>
`;

const Missed = ({ row }) => html`
  <div class="missed" data-n=${row.n}>
    <p><b>${t("not.received")}</b></p>
    ${reasons(row).map((reason) => html`<p>${reason}</p>`)}
    <footer>
      <${Time} at=${row.at} />
      ${row.code !== null && html`<${Badge} tone="warn">${t("code.of", { code: String(row.code) })}<//>`}
      <span class="soft">${t("template", { id: row.tpl_id })}</span>
    </footer>
  </div>
`;

/** A picture, or a video that plays when it is clicked. */
function Media({ template, isRecent }) {
  const [isGone, setGone] = useState(false);
  const [isStarted, setStarted] = useState(false);
  const video = useRef(null);
  const source = useRef(null);
  useEffect(() => {
    if (!isStarted) return;
    video.current.currentTime = 0;
    video.current.play();
    video.current.focus();
  }, [isStarted]);
  const media = mediaOf(template);
  if (!media || isGone) {
    return html`<p class="media none">${t("media.gone", { file: media?.address ?? template.url })}</p>`;
  }
  const { address, isVideo } = media;
  if (!isVideo) {
    return html`<div class="media">
      <img src=${address} alt=${t("media.picture")} onError=${() => setGone(true)} />
    </div>`;
  }
  // A player keeps its address as long as it is there: another one would begin anew.
  if (!isStarted && !isRecent) source.current = null;
  else source.current ??= isStarted ? address : `${address}#t=1.5`;
  return html`
    <div class="media">
      ${
        source.current !== null &&
        html`<video
          ref=${video} src=${source.current} controls=${isStarted} tabindex=${isStarted ? "0" : "-1"}
          playsinline preload="metadata" onError=${() => setGone(true)}
        ></video>`
      }
      ${
        !isStarted &&
        html`<button type="button" class="start" aria-label=${t("media.play")} onClick=${() => setStarted(true)}>
          <${Icon} name="play" />
        </button>`
      }
    </div>
  `;
}
