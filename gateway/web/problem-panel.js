// Shows what went wrong: in words, with the reference to look for in the log, and a way to try again.

import { icon, make } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {import("./problems.js").Words} Words */

export class ProblemPanel {
  #root;
  #headline = make("h2", "");
  #detail = make("p", "");
  #reference = make("p", "reference");
  #retryText = make("span", "");
  #retry = make("button", "", icon("retry"), this.#retryText);

  /**
   * @param {HTMLElement} root
   * @param {() => void} onRetry
   */
  constructor(root, onRetry) {
    this.#root = root;
    this.#retry.type = "button";
    this.#retry.addEventListener("click", onRetry);
    root.replaceChildren(icon("alert"), this.#headline, this.#detail, this.#reference, this.#retry);
  }

  /** @param {Words | null} words null = nothing went wrong */
  show(words) {
    this.#root.hidden = words === null;
    if (words === null) return;
    this.#headline.textContent = words.headline;
    this.#detail.textContent = words.detail;
    this.#reference.textContent = words.reference;
    this.#retry.hidden = !words.retriable;
    this.#retryText.textContent = t("problem.retry");
  }
}
