// Text, numbers and icons. Text is inserted as text nodes and never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";
const CIRCLE = "M7 1.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11Z";

/**
 * The conditions of a breaker as its callers feel them, most severe first. Each has its own shape, so that conditions can be distinguished
 * without colour: the first path of `filled` is filled, the paths of `lines` are drawn.
 */
export const STATES = {
  "open": { label: "Open", filled: "M7 1 13 7 7 13 1 7Z" },
  "hung": { label: "Hung", filled: "M3 1.5H11L7 7Z M7 7 11 12.5H3Z", lines: "M2.5 1.5H11.5 M2.5 12.5H11.5" },
  "half-open": { label: "Half-open", filled: "M7 1a6 6 0 0 1 0 12Z", lines: "M7 1a6 6 0 0 0 0 12" },
  "forced-open": { label: "Forced open", filled: "M2 2H12V12H2Z", bar: "M5 7H9" },
  "ramping": { label: "Ramping up", filled: "M12.5 2V12.5H2Z" },
  "observing": { label: "Observing", filled: "M7 5.2a1.8 1.8 0 1 0 0 3.6a1.8 1.8 0 1 0 0-3.6Z", lines: "M1.2 7C3.8 2.2 10.2 2.2 12.8 7C10.2 11.8 3.8 11.8 1.2 7Z" },
  "disabled": { label: "Disabled", lines: `${CIRCLE} M3.2 10.8 10.8 3.2` },
  "closed": { label: "Closed", filled: CIRCLE },
};

export const STATE_NAMES = Object.keys(STATES);

/** Returns the label of a condition or state. An unknown one is shown as it is. */
export const stateLabel = (state) => STATES[state]?.label ?? String(state);

/** The load of a rate limit or bulkhead. */
const LOADS = {
  "full": { label: "At its limit", filled: "M7 1.5 13 12.5H1Z" },
  "free": { label: "Free", filled: CIRCLE },
};

/** Returns the icon of a condition or a load. */
export function icon(state) {
  const { filled, lines, bar } = STATES[state] ?? LOADS[state] ?? STATES.closed;
  const svg = svgElement("svg", { viewBox: "0 0 14 14", width: 14, height: 14, "aria-hidden": "true" });
  const stroke = { stroke: "currentColor", "stroke-width": 1.4, "stroke-linecap": "round", "stroke-linejoin": "round" };
  if (filled) svg.append(svgElement("path", { d: filled, fill: "currentColor", ...stroke }));
  if (lines) svg.append(svgElement("path", { d: lines, fill: "none", ...stroke }));
  // The bar has the colour of the background.
  if (bar) svg.append(svgElement("path", { d: bar, ...stroke, stroke: "var(--card)" }));
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

const shownTexts = new WeakMap();

/** Sets the text of a node if it differs. The text is remembered, so that an unchanged one costs no access to the document. */
export function setText(node, text) {
  if (shownTexts.get(node) === text) return;
  shownTexts.set(node, text);
  // The text node stays the same, so that a selection of text survives.
  if (node.childNodes.length === 1 && node.firstChild.nodeType === Node.TEXT_NODE) node.firstChild.data = escaped(text);
  else node.textContent = escaped(text);
}

/** Sets an attribute of a node if it differs. */
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (number) => (number < 100_000 ? whole.format(number) : compact.format(number));
export const exact = (number) => whole.format(number);

/** Formats a number with its noun: `1 call`, `2 calls`. */
export const counted = (number, noun, nouns = `${noun}s`) => `${count(number)} ${number === 1 ? noun : nouns}`;

/** Formats a share as a rounded percentage. Only nothing is `0 %`, and only everything is `100 %`. */
export function percent(share) {
  if (share > 0 && share <= 0.005) return "<\u00a01\u00a0%";
  if (share < 1 && share >= 0.995) return ">\u00a099\u00a0%";
  // Rounding to 9 digits removes the error of binary fractions.
  return `${Math.round(Number((share * 100).toFixed(9)))}\u00a0%`;
}

/** Formats a number of calls a second: `0.4/s`, `12/s`, `1.2K/s`; empty if there is none. */
export function rate(perSecond) {
  if (!(perSecond > 0)) return "";
  if (perSecond < 0.1) return "<\u00a00.1/s";
  return `${perSecond < 10 ? Number(perSecond.toFixed(1)) : perSecond < 1000 ? Math.round(perSecond) : compact.format(perSecond)}/s`;
}

/** Formats a duration: `4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s}\u00a0s`;
  const [big, unit, small, smallUnit] =
    s < 3600 ? [60, "min", 1, "s"] : s < 86_400 ? [3600, "h", 60, "min"] : [86_400, "d", 3600, "h"];
  const left = Math.floor((s % big) / small);
  return `${Math.floor(s / big)}\u00a0${unit}${left ? ` ${left}\u00a0${smallUnit}` : ""}`;
}

/** Formats a duration with its greatest unit only: `4 s`, `32 min`, `2 h`. */
export const roughly = (seconds) => duration(seconds < 60 ? seconds : seconds - (seconds % (seconds < 3600 ? 60 : seconds < 86_400 ? 3600 : 86_400)));

/** Formats a measured duration with two digits, which is about its precision: `85 µs`, `120 ms`, `1.2 s`; from a minute on like `duration`. */
export function measured(seconds) {
  if (seconds >= 60) return duration(seconds);
  const [factor, unit] = seconds < 0.001 ? [1e6, "µs"] : seconds < 1 ? [1000, "ms"] : [1, "s"];
  return `${Number((seconds * factor).toPrecision(2))}\u00a0${unit}`;
}

const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const timeOfDay = new Intl.DateTimeFormat("en-GB", TIME);
const dateAndTime = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", ...TIME, timeZoneName: "short" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "short" });

/** The name of the browser's time zone at present: `GMT+1`. */
export const zone = () => dateAndTime.formatToParts().find(({ type }) => type === "timeZoneName").value;

/** Formats a time in seconds since 1970 in the browser's zone: `14:03:12` today, `27 Nov 2026, 14:03:12 GMT+1` on another day. */
export function clock(at, now = Date.now() / 1000) {
  const date = new Date(at * 1000);
  return (day.format(date) === day.format(now * 1000) ? timeOfDay : dateAndTime).format(date);
}

/** Formats a time in seconds since 1970 with date and zone: `27 Nov 2026, 14:03:12 GMT+1`. */
const fullClock = (at) => dateAndTime.format(at * 1000);

/** Formats the hour and minute of a time in seconds since 1970: `14:03`. */
export const shortClock = (at) => timeOfDay.format(at * 1000).slice(0, 5);

/** Returns a `<time>` element; its tooltip has date and zone. */
export const timeElement = (at, now) => element("time", { datetime: new Date(at * 1000).toISOString(), title: fullClock(at) }, clock(at, now));

/** Cuts a text that is too long in its middle, because keys often differ at their end: `tenant-000…eu-west-1`. */
export function shortened(text, length = 40) {
  const characters = [...text];
  if (characters.length <= length) return text;
  const end = Math.floor((length - 1) / 2);
  return `${characters.slice(0, length - 1 - end).join("")}…${characters.slice(-end).join("")}`;
}

/** Quotes a key that is empty, or whose spaces would not be seen. */
const quoted = (key) => (/^$|^\p{Zs}|\p{Zs}$|\p{Zs}{2}/u.test(key) ? `“${key.replaceAll(" ", "\u00a0")}”` : key);

/**
 * Returns the text of an entry's key. A key may have the same text as the overflow breaker, so the row of the overflow breaker has its own
 * class.
 */
export const keyText = (entry) => (entry.overflow ? "All other keys" : quoted(entry.key));

export const title = (entry) => (entry.overflow ? `${entry.name}, all other keys` : entry.key == null ? entry.name : `${entry.name} · ${quoted(entry.key)}`);
