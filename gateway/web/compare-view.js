// The view that compares two faces: takes two pictures in and shows what becomes of them.

import { Comparison } from "./comparison.js";
import { part } from "./dom.js";
import { FaceSlot } from "./face-slot.js";
import { onLanguageChange, t } from "./i18n.js";
import { isCurable, isUnserved } from "./problems.js";
import { Verdict, verdictInWords } from "./verdict.js";

/** @typedef {import("./comparison.js").Side} Side */
/** @typedef {import("./views.js").View} View */

/** @implements {View} */
export class CompareView {
  root;
  /** @type {View["title"]} */
  title = "compare.pageTitle";

  #say;
  #comparison = new Comparison();
  #slots;
  #verdict;
  #swap;
  #clear;
  #notice;

  /**
   * @param {HTMLElement} root
   * @param {object} listeners
   * @param {(sentence: string) => void} listeners.onNews something to be read out
   * @param {() => void} listeners.onUnserved the service turned out not to be ready
   */
  constructor(root, { onNews, onUnserved }) {
    this.root = root;
    this.#say = onNews;
    this.#slots = [this.#slot("first", 0), this.#slot("second", 1)];
    this.#verdict = new Verdict(part(root, "verdict", HTMLElement), () => this.#comparison.retry());
    this.#swap = part(root, "swap", HTMLButtonElement);
    this.#clear = part(root, "clear", HTMLButtonElement);
    this.#notice = part(root, "notice", HTMLElement);

    this.#swap.addEventListener("click", () => this.#comparison.swap());
    this.#clear.addEventListener("click", () => {
      this.#comparison.clear();
      part(root, "choose", HTMLButtonElement).focus(); // what had the focus is disabled
    });
    this.#comparison.addEventListener("change", () => this.#render());
    this.#comparison.addEventListener("settled", () => {
      if (this.#comparison.problems.some(isUnserved)) onUnserved();
    });
    onLanguageChange(() => this.#render());
    this.#render();
  }

  /**
   * @param {File[]} files
   * @param {Element | null} at
   */
  take(files, at) {
    const [first, second] = files;
    this.#tell(files.length === 0 ? t("toolbar.noFiles") : files.length > 2 ? t("compare.tooMany") : "");
    if (first === undefined) return;
    if (second === undefined) {
      this.#comparison.put(this.#sideAt(at), first);
    } else {
      this.#comparison.put(0, first);
      this.#comparison.put(1, second);
    }
  }

  /** @param {Element | null} at */
  hover(at) {
    this.#slots.forEach((slot, side) => {
      slot.isTarget = at !== null && side === this.#sideAt(at);
    });
  }

  /** The service has become ready, or has been shown another key: what failed for want of it is done now. */
  resume() {
    if (this.#comparison.problems.some(isCurable)) this.#comparison.retry();
  }

  /**
   * @param {string} name
   * @param {Side} side
   */
  #slot(name, side) {
    const root = part(this.root, name, HTMLElement);
    root.append(part(this.root, "slot", HTMLTemplateElement).content.cloneNode(true));
    return new FaceSlot(root, {
      onFiles: (files) => this.take(files, root),
      onRemove: () => this.#comparison.put(side, null),
      onRetry: () => this.#comparison.retry(),
    });
  }

  /**
   * @param {Element | null} at
   * @returns {Side} where a picture given there belongs: anywhere but at a slot, where there is room
   */
  #sideAt(at) {
    const [first, second] = this.#slots;
    if (first.root.contains(at)) return 0;
    if (second.root.contains(at)) return 1;
    return this.#comparison.subjects[0] === null ? 0 : 1;
  }

  #render() {
    const { subjects, searching, pending, likeness } = this.#comparison;
    this.#slots.forEach((slot, side) => slot.render(subjects[side]));
    this.#verdict.render(this.#comparison);
    this.#swap.disabled = this.#clear.disabled = subjects.every((subject) => subject === null);
    if (searching) this.#say(t("compare.searching"));
    else if (pending) this.#say(t("compare.comparing"));
    if (likeness !== null) this.#say(verdictInWords(likeness));
  }

  /** @param {string} sentence empty = nothing to tell any more */
  #tell(sentence) {
    this.#notice.textContent = sentence;
    this.#notice.hidden = sentence === "";
  }
}
