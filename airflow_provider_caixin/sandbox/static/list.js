// The messages, newest first: one page of them at a time, so that the page stays small however many there are.

import { h, icon, redraw } from "./dom.js";
import { labels, media, parts, reasons } from "./meaning.js";
import { clock, count, currentLanguage, say, spaced } from "./words.js";

const element = document.getElementById("messages");
const nothing = document.getElementById("nothing");

/** Draw one page of rows. */
export function drawList({ rows, templates, chosen, search, searching }) {
  const kept = element.contains(document.activeElement) ? document.activeElement.dataset.n : undefined;
  const changed = redraw(element, [rows, chosen, currentLanguage(), templates.size], () =>
    rows.map((row) => line(row, templates.get(row.tpl_id), chosen)),
  );
  if (changed && kept !== undefined) (element.querySelector(`[data-n="${kept}"]`) ?? element).focus({ preventScroll: true });
  element.hidden = rows.length === 0;
  nothing.hidden = rows.length > 0;
  redraw(nothing, [search, searching, currentLanguage()], () =>
    searching
      ? h("p", {}, say("where.more"))
      : search === ""
        ? [h("h2", {}, say("nothing.title")), h("p", {}, say("nothing.text")), h("code", {}, sample())]
        : [h("h2", {}, say("nothing.search", { text: search })), h("p", {}, say("nothing.search.text"))],
  );
}

function line(row, template, chosen) {
  const shown = template ? parts(template.content) : null;
  const found = template ? media(template) : null;
  return h(
    "li",
    {},
    h(
      "button",
      { type: "button", class: "message", "data-n": row.n, "data-mobile": row.mobile, "aria-current": row.mobile === chosen ? "true" : null },
      h("span", { class: `mark ${labels(row)[0][0]}` }, icon(found && !found.isVideo ? "picture" : "video")),
      h("span", { class: "number" }, row.mobile === "" ? say("number.none") : spaced(row.mobile)),
      h("time", { datetime: new Date(row.at * 1000).toISOString() }, clock(row.at)),
      h(
        "span",
        { class: "gist" },
        row.billed && shown ? [h("b", {}, shown.signature), " ", shown.text] : (reasons(row)[0] ?? say("template.none", { id: row.tpl_id })),
      ),
      h("span", { class: "labels" }, labels(row).map(([kind, text]) => h("span", { class: `label ${kind}` }, text))),
    ),
  );
}

function sample() {
  return `AIRFLOW_CONN_CAIXIN_DEFAULT='caixin://:any-key@${location.host}/http?send_window=00:00-24:00'`;
}

/** What stands between the two page buttons. */
export function whereText({ rows, search, isNewest }) {
  if (search !== "") return say("where.searched", { n: count(rows.length) });
  return isNewest ? say("where.newest", { n: count(rows.length) }) : say("where.older");
}
