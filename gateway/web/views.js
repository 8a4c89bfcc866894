// Shows the view that the address names (`#hide`, `#compare`), so that links, the back button and bookmarks lead to it.

import { onLanguageChange, t } from "./i18n.js";

/**
 * One of the page's views; `data-view` of its root is its address.
 * @typedef {import("./intake.js").Receiver & {
 *   root: HTMLElement,
 *   title: import("./i18n.js").MessageKey,
 * }} View
 */

export class Views {
  #views;
  #current;

  /** @param {[View, ...View[]]} views the first is shown where the address names none */
  constructor(views) {
    this.#views = views;
    this.#current = this.#named();
    this.#render();
    onLanguageChange(() => this.#render());
    window.addEventListener("hashchange", () => {
      const before = this.#current;
      this.#current = this.#named();
      this.#render();
      if (this.#current !== before) this.#leadToHeading();
    });
  }

  /** @returns {View} the one that is seen */
  get current() {
    return this.#current;
  }

  #named() {
    return this.#views.find(({ root }) => location.hash === `#${root.dataset.view}`) ?? this.#views[0];
  }

  #render() {
    document.title = t(this.#current.title);
    for (const { root } of this.#views) {
      const link = document.querySelector(`nav a[href="#${root.dataset.view}"]`);
      root.hidden = root !== this.#current.root;
      if (root.hidden) link?.removeAttribute("aria-current");
      else link?.setAttribute("aria-current", "page");
    }
  }

  #leadToHeading() {
    const headings = [...this.#current.root.querySelectorAll("h1")];
    headings.find((heading) => heading.checkVisibility())?.focus({ preventScroll: true });
    scrollTo({ top: 0, behavior: "instant" });
  }
}
