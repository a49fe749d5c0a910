// Shares of a whole: percentages that add up to 100, and a bar with a legend.

import { count, element, percent, setText } from "./format.js";

/**
 * Returns the percentages of `numbers` in their sum. Whole percentages add up to 100 (largest remainder); parts of half a percent or less are
 * `< 1 %`, as in `percent`. A part that is not zero is never `0 %`, and a part that is not everything is never `100 %`.
 */
export function shares(numbers) {
  const sum = numbers.reduce((total, number) => total + number, 0);
  if (!sum) return numbers.map(() => "0\u00a0%");
  // Rounding to 9 digits removes the error of binary fractions: 0.29 * 100 is slightly less than 29.
  const exactly = numbers.map((number) => Number(((number / sum) * 100).toFixed(9)));
  const rounded = exactly.map(Math.floor);
  const byRemainder = exactly.map((value, index) => [value - rounded[index], index]).sort((one, other) => other[0] - one[0] || one[1] - other[1]);
  const missing = 100 - rounded.reduce((total, value) => total + value, 0);
  for (const [, index] of byRemainder.filter(([, index]) => exactly[index] > 0.5).slice(0, missing)) rounded[index] += 1;
  return numbers.map((number, index) => {
    if (number && number < sum && (exactly[index] <= 0.5 || exactly[index] >= 99.5)) return percent(number / sum);
    return `${Math.min(rounded[index], number < sum ? 99 : 100)}\u00a0%`;
  });
}

/** Returns the share of `part` in `whole` as a percentage; an en dash if there is no whole. */
export const shareOf = (part, whole) => (whole ? percent(part / whole) : "–");

/** A bar whose parts are labelled below it. A part is `{ style, label, number, always }`; zeros are left out of the legend unless `always`. */
export class ShareBar {
  #bar = element("div", { class: "share-bar", "aria-hidden": "true" });
  #legend = element("ul", { class: "share-legend" });
  node = element("div", { class: "shares" }, this.#bar, this.#legend);

  update(parts) {
    const percentages = shares(parts.map(({ number }) => number));
    const known = parts.some(({ number }) => number);
    this.node.hidden = !known;
    if (this.#bar.children.length !== parts.length) {
      this.#bar.replaceChildren(...parts.map(({ style }) => element("i", { class: style })));
      this.#legend.replaceChildren(...parts.map(({ style }) => element("li", {}, element("i", { class: `swatch ${style}`, "aria-hidden": "true" }), element("span"))));
    }
    parts.forEach(({ label, number, always }, index) => {
      const part = this.#bar.children[index];
      const item = this.#legend.children[index];
      part.hidden = !number;
      // Every part that exists is at least 3 px wide.
      part.style.flex = `${number} 0 3px`;
      item.hidden = !number && !always;
      setText(item.lastChild, `${percentages[index]} ${label}`);
      item.title = `${count(number)} ${label}`;
    });
  }
}
