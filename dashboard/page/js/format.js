// Text, numbers and icons. Text is inserted as text nodes and never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** The states of a breaker, most severe first. Each has its own shape, so that states can be distinguished without colour. */
export const STATES = {
  "open": { label: "Open", shape: "M7 1 13 7 7 13 1 7Z" },
  "half-open": { label: "Half-open", shape: "M7 1a6 6 0 0 1 0 12Z M7 1a6 6 0 0 0 0 12", outline: true },
  "forced-open": { label: "Forced open", shape: "M2 2H12V12H2Z M5 7H9" , outline: true },
  "disabled": { label: "Disabled", shape: "M7 1.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11Z M3.2 10.8 10.8 3.2", hollow: true },
  "closed": { label: "Closed", shape: "M7 1.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11Z" },
};

export const STATE_NAMES = Object.keys(STATES);

/** Returns the label of a state. An unknown state is shown as it is. */
export const stateLabel = (state) => STATES[state]?.label ?? state;

/** The load of a rate limit or bulkhead. */
export const LOADS = {
  "full": { label: "At its limit", shape: "M7 1.5 13 12.5H1Z" },
  "free": { label: "Free", shape: STATES.closed.shape },
};

/** Returns the icon of a state or a load. */
export function icon(state) {
  const { shape, outline, hollow } = STATES[state] ?? LOADS[state] ?? STATES.closed;
  const svg = svgElement("svg", { viewBox: "0 0 14 14", width: 14, height: 14, "aria-hidden": "true" });
  const paths = outline || hollow ? shape.split(/(?= M)/) : [shape];
  paths.forEach((d, index) => {
    const filled = index === 0 && !hollow;
    const path = svgElement("path", { d, fill: filled ? "currentColor" : "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linecap": "round" });
    // The bar across the filled square has the colour of the background.
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

/**
 * Line breaks, control characters, invisible characters and those that change the text direction; also the backslash, so that escaping is
 * unambiguous.
 */
const MISLEADING = /[\p{Cc}\\\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu;
const SHORT_ESCAPES = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

/** Escapes misleading characters, exactly as `steadfast::escaped` does. */
export const escaped = (text) => text.replace(MISLEADING, (one) => SHORT_ESCAPES[one] ?? `\\u{${one.codePointAt(0).toString(16)}}`);

/** Creates an element with attributes and children; strings become text nodes. */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in created && typeof value !== "string") created[key] = value;
    else created.setAttribute(key, value);
  }
  created.append(...children.map((child) => (typeof child === "string" ? escaped(child) : child)));
  return created;
}

/** Sets the text of a node if it differs, to avoid needless layout. */
export function setText(node, text) {
  const safe = escaped(text);
  if (node.textContent !== safe) node.textContent = safe;
}

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (number) => (number < 100_000 ? whole.format(number) : compact.format(number));
export const exact = (number) => whole.format(number);

/** Formats a number with its noun: `1 call`, `2 calls`. */
export const counted = (number, noun) => `${count(number)} ${number === 1 ? noun : `${noun}s`}`;

/** Formats a share as a percentage, rounded down so that 100 % means all; a share between 0 and 1 % is shown as `<1 %`. */
export const percent = (share) => (share > 0 && share < 0.01 ? "<\u00a01\u00a0%" : `${Math.floor(share * 100)}\u00a0%`);

export function rate(perSecond) {
  if (!(perSecond > 0)) return "";
  return `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)}/s`;
}

/** Formats a duration: `4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const [big, unit, small, smallUnit] =
    s < 3600 ? [60, "min", 1, "s"] : s < 86_400 ? [3600, "h", 60, "min"] : [86_400, "d", 3600, "h"];
  const left = Math.floor((s % big) / small);
  return `${Math.floor(s / big)} ${unit}${left ? ` ${left} ${smallUnit}` : ""}`;
}

/** Formats a measured duration with two digits, which is about its precision: `85 µs`, `120 ms`, `1.2 s`; from a minute on like `duration`. */
export function measured(seconds) {
  if (seconds >= 60) return duration(seconds);
  const [factor, unit] = seconds < 0.001 ? [1e6, "µs"] : seconds < 1 ? [1000, "ms"] : [1, "s"];
  return `${Number((seconds * factor).toPrecision(2))}\u00a0${unit}`;
}

const QUANTILES = ["p50", "p95", "p99"];

/** Returns the quantiles of durations, each as a pair of its name and its text; none if nothing is recorded. */
export const quantiles = (durations) => (durations?.count ? QUANTILES.map((name) => [name, measured(durations[name])]) : []);

export function clock(at) {
  return new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
}

/**
 * Returns the text of an entry's key. A key may have the same text as the overflow breaker, so the row of the overflow breaker has its own
 * class.
 */
export const keyText = (entry) => (entry.overflow ? "All other keys" : entry.key);

export const title = (entry) => (entry.overflow ? `${entry.name}, all other keys` : entry.key == null ? entry.name : `${entry.name} · ${entry.key}`);
