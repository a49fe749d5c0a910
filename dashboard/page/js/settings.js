// The settings in force, with their sources, and the override that is above them.

import { clock, element } from "./format.js";
import { isOverride } from "./override.js";

const SOURCES = {
  code: "in the code",
  file: "settings file",
  environment: "environment variable",
  live: "changed while running",
};

/** Returns the table of the settings; null if the entry has none. */
export function settingsTable(entry) {
  const rows = [...overrideRow(entry), ...(entry.settings ?? []).map(({ option, value, source }) => cells(option, value, SOURCES[source] ?? source, source !== "code"))];
  if (!rows.length) return null;
  return element("table", { class: "settings-table" },
    element("thead", {}, element("tr", {}, ...["Option", "In force", "From"].map((label) => element("th", { scope: "col" }, label)))),
    element("tbody", {}, ...rows));
}

function cells(option, value, source, isChanged) {
  return element("tr", isChanged ? { class: "changed" } : {}, element("th", { scope: "row" }, ...option.split(/(?<=_)/).flatMap((part) => [part, element("wbr")])), element("td", {}, element("code", {}, value)), element("td", {}, source));
}

function overrideRow({ state, until, operator_reason: reason }) {
  if (!isOverride(state)) return [];
  const end = until ? `until ${clock(until)}` : "no expiry";
  return [cells("override", [state === "disabled" ? "disabled" : "forced open", end, reason && `“${reason}”`].filter(Boolean).join(", "), "an operator", true)];
}
