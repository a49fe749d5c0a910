// Text and shapes. Nothing here is ever parsed as HTML: text goes into text nodes.

const SVG = "http://www.w3.org/2000/svg";

/** The states, worst first: words, and shapes that are told apart without colour. */
export const STATES = {
  "open": { word: "Open", shape: "M7 1 13 7 7 13 1 7Z" },
  "half-open": { word: "Half-open", shape: "M7 1a6 6 0 0 1 0 12Z M7 1a6 6 0 0 0 0 12", outline: true },
  "forced-open": { word: "Forced open", shape: "M2 2H12V12H2Z M5 7H9" , outline: true },
  "disabled": { word: "Disabled", shape: "M7 1.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11Z M3.2 10.8 10.8 3.2", hollow: true },
  "closed": { word: "Closed", shape: "M7 1.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11Z" },
};

export const ORDER = Object.keys(STATES);

/** What there is to say of a limit. */
export const LOADS = {
  "full": { word: "At its limit", shape: "M7 1.5 13 12.5H1Z" },
  "free": { word: "Free", shape: STATES.closed.shape },
};

/** The shape of a state, or of a load. */
export function icon(state) {
  const { shape, outline, hollow } = STATES[state] ?? LOADS[state] ?? STATES.closed;
  const svg = svgElement("svg", { viewBox: "0 0 14 14", width: 14, height: 14, "aria-hidden": "true" });
  const paths = outline || hollow ? shape.split(/(?= M)/) : [shape];
  paths.forEach((d, index) => {
    const filled = index === 0 && !hollow;
    const path = svgElement("path", { d, fill: filled ? "currentColor" : "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linecap": "round" });
    // A bar across a filled square is cut out of it.
    if (state === "forced-open" && index === 1) path.setAttribute("stroke", "var(--card)");
    svg.append(path);
  });
  return svg;
}

export function svgElement(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** Characters that end a line, change the direction of a text or are not seen; and the backslash, so that no two texts look the same. */
const MISLEADING = /[\p{Cc}\\\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

/** A text as the library itself shows names, keys and reasons. */
export const escaped = (text) => text.replace(MISLEADING, (one) => SHORT[one] ?? `\\u{${one.codePointAt(0).toString(16)}}`);

/** An element with attributes and children; strings become text. */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in created && typeof value !== "string") created[key] = value;
    else created.setAttribute(key, value);
  }
  created.append(...children.map((child) => (typeof child === "string" ? escaped(child) : child)));
  return created;
}

/** Sets text if it is another, so that nothing is laid out for nothing. */
export function setText(node, text) {
  const safe = escaped(text);
  if (node.textContent !== safe) node.textContent = safe;
}

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (number) => (number < 100_000 ? whole.format(number) : compact.format(number));
export const exact = (number) => whole.format(number);

/** Rounded down, so that 100 means all; what is there at all is more than nothing. */
export const percent = (share) => (share > 0 && share < 0.01 ? "<\u00a01\u00a0%" : `${Math.floor(share * 100)}\u00a0%`);

export function rate(perSecond) {
  if (!(perSecond > 0)) return "";
  return `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)}/s`;
}

/** `4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const [big, unit, small, rest] =
    s < 3600 ? [60, "min", 1, "s"] : s < 86_400 ? [3600, "h", 60, "min"] : [86_400, "d", 3600, "h"];
  const left = Math.floor((s % big) / small);
  return `${Math.floor(s / big)} ${unit}${left ? ` ${left} ${rest}` : ""}`;
}

export function clock(at) {
  return new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

/** The text of an entry's key. The overflow has none; its rows have a class of their own, since a key may have the same text. */
export const keyText = (entry) => (entry.overflow ? "All other keys" : entry.key);

export const title = (entry) => (entry.overflow ? `${entry.name}, all other keys` : entry.key == null ? entry.name : `${entry.name} · ${entry.key}`);
