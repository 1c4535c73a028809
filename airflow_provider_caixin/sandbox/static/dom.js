// Elements from data. Text is always a text node: nothing that a caller of the sandbox wrote can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties (class, on…, attributes) and children; null children are left out. */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

const ICONS = {
  play: "M8 5.5v13l11-6.5z",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  video: "M3 6h12v12H3zM15 10.5l6-3.5v10l-6-3.5z",
};

/** A small drawing that says nothing to a screen reader. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `icon ${name}`);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Replace what is in an element, unless it was made from the same values the last time. */
export function redraw(element, values, draw) {
  const made = JSON.stringify(values);
  if (element.madeFrom === made) return false;
  element.madeFrom = made;
  element.replaceChildren(...[draw()].flat().filter((child) => child != null));
  return true;
}
