// What concerns all pictures at once: the total, retrying, starting over, and one download for all.

import { part } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {import("./pictures.js").Totals} Totals */

/**
 * @typedef {object} Listeners
 * @property {() => void} onRetryFailed
 * @property {() => void} onStartOver
 * @property {() => Promise<void>} onDownloadAll
 * @property {(sentence: string) => void} onProblem
 */

export class Toolbar {
  #total;
  #text;
  #progress;
  #retryFailed;
  #downloadAll;
  #downloadAllText;
  #packing = false;

  /**
   * @param {ParentNode} root
   * @param {Listeners} listeners
   */
  constructor(root, { onRetryFailed, onStartOver, onDownloadAll, onProblem }) {
    this.#total = part(root, "total", HTMLElement);
    this.#text = part(root, "total-text", HTMLElement);
    this.#progress = part(root, "total-progress", HTMLProgressElement);
    this.#retryFailed = part(root, "retry-failed", HTMLButtonElement);
    this.#downloadAll = part(root, "download-all", HTMLButtonElement);
    this.#downloadAllText = part(root, "download-all-text", HTMLElement);
    this.#retryFailed.addEventListener("click", onRetryFailed);
    part(root, "start-over", HTMLButtonElement).addEventListener("click", onStartOver);
    this.#downloadAll.addEventListener("click", async () => {
      this.#setPacking(true);
      try {
        await onDownloadAll();
      } catch (error) {
        onProblem(t(error instanceof RangeError ? "toolbar.zipTooLarge" : "toolbar.zipFailed"));
      } finally {
        this.#setPacking(false);
      }
    });
  }

  /** @param {Totals} totals */
  render(totals) {
    const { count, done, failed, busy } = totals;
    this.#total.hidden = count < 2;
    this.#text.textContent = busy ? t("total.progress", { done: done + failed, count }) : this.summary(totals);
    this.#progress.hidden = !busy;
    this.#progress.value = count === 0 ? 0 : (done + failed) / count;
    this.#retryFailed.hidden = failed === 0 || count < 2;
    this.#retryFailed.textContent = t("toolbar.retry", { count: failed });
    this.#downloadAll.hidden = count < 2;
    this.#downloadAll.disabled = this.#packing || busy || done === 0;
    this.#downloadAllText.textContent = t(this.#packing ? "toolbar.packing" : "toolbar.download");
  }

  /**
   * @param {Totals} totals
   * @returns {string} one line
   */
  summary({ count, done, failed, faces }) {
    const parts = [t("total.pictures", { count })];
    if (done > 0) parts.push(t("faces.hidden", { count: faces }));
    if (failed > 0) parts.push(t("total.failed", { count: failed }));
    return parts.join(" · ");
  }

  /** @param {boolean} packing */
  #setPacking(packing) {
    this.#packing = packing;
    this.#downloadAll.disabled = packing;
    this.#downloadAllText.textContent = t(packing ? "toolbar.packing" : "toolbar.download");
  }
}
