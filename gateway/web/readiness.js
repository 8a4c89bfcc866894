// Tells when the service is not ready, which part of it and why, and waits until it is.

import { readiness } from "./api.js";
import { make } from "./dom.js";
import { isMessageKey, onLanguageChange, t } from "./i18n.js";

/** @typedef {import("./api.js").Readiness} Readiness */

const POLL_MS = 2000;

export class ReadinessBanner {
  #banner;
  #onReady;
  #watching = false;
  #doubted = false;
  /** @type {Readiness | null} null = nobody answered */
  #last = null;

  /**
   * @param {HTMLElement} banner
   * @param {() => void} onReady called when the service has become ready after it was not
   */
  constructor(banner, onReady) {
    this.#banner = banner;
    this.#onReady = onReady;
    onLanguageChange(() => this.#render());
  }

  /** Looks now, and if the service is not ready, again and again until it is. */
  async watch() {
    this.#doubted = true;
    if (this.#watching) return;
    this.#watching = true;
    let waited = false;
    // Where doubt came up during a look, what that look saw may be older than the doubt: look again.
    while (this.#doubted || !this.#last?.ready) {
      this.#doubted = false;
      this.#last = await readiness().catch(() => null);
      if (this.#last?.ready) continue;
      waited = true;
      this.#banner.hidden = false;
      this.#render();
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    this.#watching = false;
    this.#banner.hidden = true;
    if (waited) this.#onReady();
  }

  #render() {
    if (this.#banner.hidden) return;
    const sentences = this.#last === null ? [t("banner.unreachable")] : this.#tiersInWords(this.#last);
    const text = sentences.join(" ");
    if (this.#banner.textContent !== text) this.#banner.replaceChildren(make("span", "spinner"), make("p", "", text));
  }

  /** @param {Readiness} readiness */
  #tiersInWords({ tiers }) {
    // Hiding faces needs no embedder: name it only where nothing else explains the wait.
    const down = Object.entries(tiers).filter(([, { status }]) => status !== "ready");
    const needed = down.filter(([name]) => name !== "embedder");
    const named = (needed.length > 0 ? needed : down).map(([name, { detail }]) => {
      const key = `tier.${name}`;
      const tier = isMessageKey(key) ? t(key) : name;
      return detail ? t("banner.tier", { tier, detail }) : t("banner.tierDown", { tier });
    });
    return [t("banner.starting"), ...named.map((sentence) => `${sentence.replace(/\.$/, "")}.`), t("banner.waiting")];
  }
}
