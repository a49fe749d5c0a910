// The choice of the theme.

import { setText } from "./format.js";
import { storage } from "./view.js";

const THEMES = { "": "Auto", "light": "Light", "dark": "Dark" };

/** Applies the stored theme, and changes it with each click on `button`. */
export function chooseTheme(button) {
  const apply = (name) => {
    if (name) document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
    setText(button, `Theme: ${THEMES[name]}`);
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
    storage.set("theme", next);
    apply(next);
  });
  const stored = storage.get("theme");
  apply(stored in THEMES ? stored : "");
}
