// The bar of what the callers got in the last minute.

import { counted, element, setText } from "./format.js";
import { outcomes } from "./figures.js";
import { shares } from "./shares.js";

const CALLERS = [["answered", "answered"], ["fallback", "fallback"], ["failed", "failed"], ["cancelled", "cancelled"]];
const OWN = [["answered", "succeeded"], ["failed", "failed"], ["rejected", "rejected"], ["ignored", "ignored errors"], ["cancelled", "cancelled"]];

export class Callers {
  #title = element("span", { class: "label" });
  #total = element("span", { class: "label" });
  #bar = element("div", { class: "outcome-bar", "aria-hidden": "true" }, ...OWN.map(() => element("i")));
  #text = element("p", { class: "outcome-text" });
  #drawn = "";
  node = element("div", { class: "callers" }, element("div", { class: "labels" }, this.#title, this.#total), this.#bar, this.#text);

  /** Shows the outcomes of a row. */
  update(row) {
    const found = outcomes(row);
    const key = found ? `${found.own} ${found.parts} ${row.last_minute.seconds}` : "unknown";
    if (key === this.#drawn) return;
    this.#drawn = key;
    const { own, parts } = found ?? { own: !row.callers, parts: [] };
    const total = parts.reduce((sum, part) => sum + part, 0);
    const names = own ? OWN : CALLERS;
    setText(this.#title, own ? "Callers got, no fallback" : "Callers got");
    setText(this.#total, found ? `${counted(total, "call")} in ${Math.round(row.last_minute.seconds ?? 60)} s` : "");
    const texts = shares(parts);
    [...this.#bar.children].forEach((part, index) => {
      part.className = names[index]?.[0] ?? "";
      part.hidden = !parts[index];
      part.style.flexGrow = String(total ? Math.round(((parts[index] ?? 0) / total) * 1000) : 0);
    });
    const shown = names.map(([, label], index) => [parts[index], `${texts[index]} ${label}`]).filter(([part]) => part);
    setText(this.#text, found ? shown.map(([, text]) => text).join(" · ") || "No calls" : "–");
  }
}
