// A question above the details, answered by two buttons. The focus is on "Cancel", and Escape cancels.

import { element, setText } from "./format.js";

export class Question {
  #title = element("h3", { id: "question-title" });
  #text = element("p", { id: "question-text" });
  #cancel = element("button", { type: "button", value: "cancel" }, "Cancel");
  #confirm = element("button", { type: "button", value: "confirm", class: "force" }, "Confirm");
  #answer = null;
  node = element("dialog", { class: "question", id: "question", role: "alertdialog", "aria-labelledby": "question-title", "aria-describedby": "question-text" },
    this.#title, this.#text, element("div", { class: "buttons" }, this.#cancel, this.#confirm));

  constructor() {
    for (const [button, isConfirmed] of [[this.#cancel, false], [this.#confirm, true]]) {
      button.addEventListener("click", (event) => {
        // The second click of a double click on a button below the question is no answer.
        if (event.detail > 1) return;
        this.#settle(isConfirmed);
        this.node.close();
      });
    }
    this.node.addEventListener("close", (event) => {
      event.stopPropagation();
      this.#settle(false);
    });
    // Escape cancels the question and leaves the details open.
    this.node.addEventListener("cancel", (event) => event.stopPropagation());
  }

  /** Asks `{ title, text, confirm }`; resolves to true if it is confirmed. */
  ask({ title, text, confirm }) {
    this.#settle(false);
    setText(this.#title, title);
    setText(this.#text, text);
    setText(this.#confirm, confirm);
    if (!this.node.open) this.node.showModal();
    this.#cancel.focus();
    return new Promise((resolve) => (this.#answer = resolve));
  }

  close() {
    if (this.node.open) this.node.close();
    this.#settle(false);
  }

  #settle(isConfirmed) {
    this.#answer?.(isConfirmed);
    this.#answer = null;
  }
}
