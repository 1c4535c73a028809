// The templates of a connection, each as a phone shows it.
import { moment } from "./format.js";
import { useLive } from "./live.js";
import { Copy, Pending, Stale, usePage } from "./parts.js";
import { remember } from "./route.js";
import { Badge, Content, Empty, Field, Icon, Note } from "./shared/parts.js";
import { html, useEffect, useMemo, useState } from "./shared/ui.js";
import { t } from "./shared/words.js";

const KINDS = ["video", "picture", "other"];

export function Templates({ route }) {
  const { session } = usePage();
  const { connections } = session;
  const asked = route.query.get("connection");
  const [connection, setConnection] = useState(
    connections.some(({ id }) => id === asked)
      ? asked
      : (connections.find(({ problem }) => !problem) ?? connections[0])?.id,
  );
  useEffect(() => remember("templates", { connection }), [connection]);
  if (connections.length === 0) {
    return html`<h1>${t("part.templates")}</h1><${Empty} title=${t("connections.none")}>${t("connections.none.text")}<//>`;
  }
  const { problem } = connections.find(({ id }) => id === connection);
  const choice = html`
    <${Field} label=${t("connection")}>
      ${(
        id,
      ) => html`<select id=${id} value=${connection} onChange=${(event) => setConnection(event.target.value)}>
        ${connections.map((one) => html`<option key=${one.id} value=${one.id}>${one.id}</option>`)}
      </select>`}
    <//>
  `;
  return html`
    <h1>${t("part.templates")}</h1>
    ${
      problem
        ? html`<div class="filters">${choice}</div><${Note}>${problem}<//>`
        : html`<${Gallery} key=${connection} connection=${connection} choice=${choice} />`
    }
  `;
}

function Gallery({ connection, choice }) {
  const live = useLive(`connections/${encodeURIComponent(connection)}/templates`);
  const [text, setText] = useState("");
  const [kind, setKind] = useState("");
  const [state, setState] = useState("");
  const templates = live.data?.templates ?? [];
  const shown = useMemo(() => {
    const sought = text.trim().toLowerCase();
    return templates.filter(
      (one) =>
        (!kind || one.kind === kind) &&
        (!state || one.available === (state === "available")) &&
        (!sought || String(one.tpl_id).includes(sought) || one.content.toLowerCase().includes(sought)),
    );
  }, [templates, text, kind, state]);
  const filters = html`
    <div class="filters">
      ${choice}
      <${Field} label=${t("templates.filter")} wide>
        ${(id) => html`<input
          id=${id} type="search" value=${text} placeholder=${t("templates.filter.text")} onInput=${(event) => setText(event.target.value)}
        />`}
      <//>
      <${Field} label=${t("templates.kind")}>
        ${(id) => html`<select id=${id} value=${kind} onChange=${(event) => setKind(event.target.value)}>
          <option value="">${t("any")}</option>
          ${KINDS.map((name) => html`<option key=${name} value=${name}>${t(`kind_of.${name}`)}</option>`)}
        </select>`}
      <//>
      <${Field} label=${t("templates.state")}>
        ${(id) => html`<select id=${id} value=${state} onChange=${(event) => setState(event.target.value)}>
          <option value="">${t("any")}</option>
          <option value="available">${t("available")}</option>
          <option value="unavailable">${t("unavailable")}</option>
        </select>`}
      <//>
    </div>
  `;
  if (!live.data) return html`${filters}<${Pending} live=${live} />`;
  if (templates.length === 0)
    return html`${filters}<${Empty} title=${t("templates.none")}>${t("templates.none.text")}<//>`;
  return html`
    ${filters}
    <${Stale} live=${live} />
    <p class="soft" aria-live="polite">${t("templates.shown", { n: shown.length, all: templates.length })}</p>
    ${
      shown.length === 0
        ? html`<${Empty} title=${t("templates.none_such")} />`
        : html`<ul class="gallery">${shown.map((one) => html`<${Template} key=${one.tpl_id} template=${one} />`)}</ul>`
    }
  `;
}

const Template = ({ template }) => html`
  <li class="template" data-available=${template.available ? "" : null}>
    <div class="title">
      <h2><code>${template.tpl_id}</code></h2>
      <${Copy} text=${String(template.tpl_id)} label=${t("copy.template", { id: String(template.tpl_id) })} />
      <span class="push"><${Badge} tone=${template.available ? "good" : "bad"}>${t(template.available ? "available" : "unavailable")}<//></span>
    </div>
    <div class="phone">
      <p class="sender">${template.signature ?? t("no_signature")}</p>
      <div class="bubble" lang="zh-CN">
        <${Media} template=${template} />
        <p class="text"><${Content} signature=${template.signature} text=${template.text} /></p>
      </div>
    </div>
    <p class="soft">${t(`kind_of.${template.kind}`)}
      ${template.created_at !== null && html` · ${t("templates.created", { time: moment(template.created_at) })}`}</p>
  </li>
`;

/** Picture or video, fetched from the gateway's address only when somebody asks, and without a referrer. */
function Media({ template }) {
  const { url, kind, tpl_id: id } = template;
  const [wanted, setWanted] = useState(false);
  const [gone, setGone] = useState(false);
  if (!url)
    return html`<div class="media none"><${Icon} name="image" /><span>${t("media.none")}</span></div>`;
  if (gone) {
    return html`<div class="media none" role="status">
      <${Icon} name="alert" /><span>${t("media.gone", { host: hostOf(url) })}</span>
      <button type="button" class="button" onClick=${() => setGone(false)}>${t("retry")}</button>
    </div>`;
  }
  if (!wanted || kind === "other") {
    return html`<div class="media none">
      <${Icon} name=${kind === "video" ? "play" : "image"} />
      ${
        kind === "other"
          ? html`<span>${t("media.other", { host: hostOf(url) })}</span>`
          : html`<button type="button" class="button" aria-label=${t(`media.${kind}.of`, { id: String(id) })} onClick=${() => setWanted(true)}>
              ${t(`media.${kind}`)}
            </button>
            <small>${t("media.from", { host: hostOf(url) })}</small>`
      }
    </div>`;
  }
  // The page itself says no-referrer; a video has no attribute of its own for it.
  return kind === "video"
    ? html`<video class="media" src=${url} controls autoplay playsinline preload="metadata" onError=${() => setGone(true)}></video>`
    : html`<img class="media" src=${url} alt=${t("media.picture_of", { id: String(id) })} referrerpolicy="no-referrer" onError=${() => setGone(true)} />`;
}

function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
}
