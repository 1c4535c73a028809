// One telephone, with what it received as it would look there, and what it did not receive in between.

import { h, icon, redraw } from "./dom.js";
import { labels, media, parts, reasons } from "./meaning.js";
import { clock, count, currentLanguage, day, say, spaced } from "./words.js";

const SHOWN = 100;
const WITH_FRAME = 5;
const screen = document.getElementById("screen");

/** Draw the telephone of a number; rows come newest first, and are null while they are not there yet. */
export function drawPhone({ mobile, rows, templates }) {
  if (mobile === null || rows === null) {
    redraw(screen, ["none", mobile, currentLanguage()], () =>
      mobile === null ? h("p", { class: "hint" }, say("phone.none")) : null,
    );
    return;
  }
  const head = screen.querySelector(".thread");
  const atEnd = !head || head.scrollHeight - head.scrollTop - head.clientHeight < 40;
  const playing = screen.madeFor === mobile ? screen.querySelector("video[controls]") : null;
  const isPlaying = playing !== null && !playing.paused;
  const known = rows.map((row) => [row, templates.get(row.tpl_id)?.content]);
  const changed = redraw(screen, [mobile, known, currentLanguage()], () => [
    title(mobile, rows),
    h("div", { class: "thread", tabindex: "0", role: "region", "aria-label": say("phone") }, thread(rows, templates, playing)),
  ]);
  const threadElement = screen.querySelector(".thread");
  if (changed && (atEnd || screen.madeFor !== mobile)) threadElement.scrollTop = threadElement.scrollHeight;
  if (changed && isPlaying && playing.isConnected) playing.play();
  screen.madeFor = mobile;
}

function title(mobile, rows) {
  const bills = rows[0]?.bills ?? 0;
  return h(
    "header",
    {},
    h("h2", {}, mobile === "" ? say("number.none") : spaced(mobile)),
    h("p", { class: bills > 1 ? "bad" : "" }, bills > 0 ? say("phone.billed", { n: count(bills) }) : say("phone.sender")),
  );
}

function thread(rows, templates, playing) {
  if (rows.length === 0) return [h("p", { class: "hint" }, say("phone.empty"))];
  const found = rows.length >= SHOWN ? [h("p", { class: "note" }, say("phone.more", { n: SHOWN }))] : [];
  let last = "";
  for (const [age, row] of [...rows.entries()].reverse()) {
    const today = day(row.at);
    if (today !== last) found.push(h("p", { class: "day" }, today));
    last = today;
    const template = templates.get(row.tpl_id);
    found.push(row.billed ? bubble(row, template, playing, age < WITH_FRAME) : note(row));
  }
  return found;
}

function bubble(row, template, playing, isRecent) {
  const { signature, text } = parts(template?.content ?? "");
  return h(
    "article",
    { class: "bubble", "data-n": row.n },
    template ? picture(row, template, playing, isRecent) : null,
    template
      ? h("p", { class: "text" }, signature ? h("b", {}, `【${signature}】`) : null, text)
      : h("p", { class: "text" }, say("template.none", { id: row.tpl_id })),
    h(
      "footer",
      {},
      h("time", { datetime: new Date(row.at * 1000).toISOString() }, clock(row.at)),
      labels(row).map(([kind, label]) => h("span", { class: `label ${kind}` }, label)),
      h("span", { class: "fine" }, template ? say("template", { id: row.tpl_id }) : null),
      h("span", { class: "fine sid" }, say("sid", { sid: row.sid })),
      reasons(row).map((reason) => h("span", { class: "why" }, reason)),
    ),
  );
}

function note(row) {
  return h(
    "div",
    { class: "missed", "data-n": row.n },
    h("p", {}, h("b", {}, say("not.received"))),
    reasons(row).map((reason) => h("p", {}, reason)),
    h(
      "footer",
      {},
      h("time", { datetime: new Date(row.at * 1000).toISOString() }, clock(row.at)),
      row.code === null ? null : h("span", { class: "label off" }, say("code.of", { code: row.code })),
      h("span", { class: "fine" }, say("template", { id: row.tpl_id })),
    ),
  );
}

/**
 * A picture, or a video that plays when it is clicked, and goes on although the thread is drawn anew.
 *
 * Browsers allow some 75 players on a page, so only the newest videos show their first frame before that.
 */
function picture(row, template, playing, isRecent) {
  const found = media(template);
  if (!found) return h("p", { class: "media none" }, say("media.gone", { file: template.url }));
  const holder = h("div", { class: "media" });
  const gone = () => holder.replaceChildren(h("p", { class: "none" }, say("media.gone", { file: found.address })));
  if (!found.isVideo) {
    holder.append(h("img", { src: found.address, alt: say("media.picture"), onerror: gone }));
    return holder;
  }
  if (playing?.dataset.n === String(row.n)) {
    holder.append(playing);
    return holder;
  }
  const video = h("video", { playsinline: true, preload: "metadata", tabindex: "-1", "data-n": row.n, onerror: gone });
  const start = () => {
    if (!video.src) video.src = found.address;
    Object.assign(video, { controls: true, tabIndex: 0 });
    button.remove();
    video.currentTime = 0;
    video.play();
    video.focus();
  };
  const button = h("button", { type: "button", class: "start", "aria-label": say("media.play"), onclick: start }, icon("play"));
  if (isRecent) video.src = `${found.address}#t=1.5`;
  holder.append(video, button);
  return holder;
}
