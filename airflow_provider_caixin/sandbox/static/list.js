// The messages, newest first: one page of them at a time, so that the page stays small however many there
// are.
import { contentOf, labels, mediaOf, reasons, spaced, Time } from "./meaning.js";
import { Badge, Empty, Icon } from "./shared/parts.js";
import { html, useLayoutEffect, useRef } from "./shared/ui.js";
import { t } from "./shared/words.js";

/** `open` is called with the number of a message that somebody chose, `scrolled` when the list moves. */
export function List({ rows, templates, chosen, open, scrolled }) {
  const list = useRef(null);
  const hadFocus = list.current?.contains(document.activeElement);
  // The message that had the focus may have left the page of the list.
  useLayoutEffect(() => {
    if (hadFocus && !list.current.contains(document.activeElement))
      list.current.focus({ preventScroll: true });
  });
  const step = (event) => {
    const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const next = way && document.activeElement.closest("li")?.[way]?.querySelector("button");
    if (!next) return;
    event.preventDefault();
    next.focus();
  };
  return html`
    <ol
      id="messages" tabindex="-1" ref=${list} aria-label=${t("messages")} hidden=${rows.length === 0}
      onKeyDown=${step} onScroll=${scrolled}
    >
      ${rows.map(
        (row) => html`
          <li key=${row.n}>
            <${Message}
              row=${row} template=${templates.get(row.tpl_id)} isChosen=${row.mobile === chosen} open=${open}
            />
          </li>
        `,
      )}
    </ol>
  `;
}

function Message({ row, template, isChosen, open }) {
  const content = template && contentOf(template);
  const isPicture = template && mediaOf(template)?.isVideo === false;
  const found = labels(row);
  return html`
    <button
      type="button" class="message" data-n=${row.n} data-number=${row.mobile} aria-current=${isChosen ? "true" : null}
      onClick=${() => open(row.mobile)}
    >
      <span class="mark" data-tone=${found[0][0]}><${Icon} name=${isPicture ? "image" : "video"} /></span>
      <span class="number">${spaced(row.mobile)}</span>
      <${Time} at=${row.at} />
      <span class="gist">
        ${
          row.billed && content
            ? html`<b>${content.signature}</b> ${content.text}`
            : (reasons(row)[0] ?? t("template.none", { id: row.tpl_id }))
        }
      </span>
      <span class="labels">${found.map(([tone, text]) => html`<${Badge} tone=${tone}>${text}<//>`)}</span>
    </button>
  `;
}

/** What stands where there are no messages. */
export function Nothing({ search, isSearching }) {
  if (isSearching) return html`<${Empty} id="nothing">${t("where.more")}<//>`;
  if (search !== "") {
    return html`
      <${Empty} id="nothing" title=${t("nothing.search", { text: search })}>${t("nothing.search.text")}<//>
    `;
  }
  const sample = `AIRFLOW_CONN_CAIXIN_DEFAULT='caixin://:any-key@${location.host}/http?send_window=00:00-24:00'`;
  return html`
    <${Empty} id="nothing" title=${t("nothing.title")}>${t("nothing.text")}<code>${sample}</code><//>
  `;
}
