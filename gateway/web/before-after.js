// Lays a picture over another and lets a divider uncover it: by pointer, touch or keyboard.

import { BlobImage } from "./blob-image.js";
import { part } from "./dom.js";
import { isShortcut } from "./fields.js";
import { onLanguageChange, t } from "./i18n.js";

const KEY_STEP = 2; // percent
const NEAR_EDGE = 10; // percent: there a side is too narrow for its label

export class BeforeAfter {
  #root;
  #before;
  #after;
  #range;
  #position = 0;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    this.#before = new BlobImage(part(root, "before", HTMLImageElement));
    this.#after = new BlobImage(part(root, "after", HTMLImageElement));
    this.#range = part(root, "before-after-range", HTMLInputElement);
    this.#listenToKeys();
    this.#listenToPointer();
    for (const over of ["transitionend", "transitioncancel"]) {
      root.addEventListener(over, () => root.classList.remove("is-gliding"));
    }
    onLanguageChange(() => this.#render());
  }

  /** @returns {number} how much of the width shows the picture before, percent */
  get position() {
    return this.#position;
  }

  /** @param {number} percent */
  set position(percent) {
    this.#position = Math.min(100, Math.max(0, percent));
    this.#render();
  }

  /** @param {number} percent where the divider glides to */
  glideTo(percent) {
    this.#root.classList.toggle("is-gliding", percent !== this.#position);
    this.position = percent;
  }

  /** @param {string} name of the picture, for those who cannot see it */
  describe(name) {
    this.#before.description = t("beforeAfter.altBefore", { name });
    this.#after.description = t("beforeAfter.altAfter", { name });
  }

  /**
   * @param {Blob | null} blob
   * @returns {Promise<boolean>} whether the browser can show it
   */
  async showBefore(blob) {
    const outcome = await this.#before.show(blob);
    this.#render();
    return outcome !== "undecodable";
  }

  /**
   * Where only the picture before was shown, this one glides over it.
   * @param {Blob | null} blob
   * @returns {Promise<boolean>} whether the browser can show it
   */
  async showAfter(blob) {
    const hadAfter = this.#after.visible;
    const outcome = await this.#after.show(blob);
    const arrives = !hadAfter && this.#after.visible && this.#before.visible;
    this.#root.classList.toggle("is-gliding", arrives && this.#position < 100);
    this.#render();
    return outcome !== "undecodable";
  }

  #render() {
    const [before, after] = [this.#before.visible, this.#after.visible];
    const comparable = before && after;
    const shown = comparable ? this.#position : before ? 100 : 0;
    this.#root.hidden = !before && !after;
    this.#root.classList.toggle("is-comparable", comparable);
    this.#root.classList.toggle("is-parted", shown > 0 && shown < 100);
    this.#root.classList.toggle("shows-before", before && shown > NEAR_EDGE);
    this.#root.classList.toggle("shows-after", after && shown < 100 - NEAR_EDGE);
    this.#root.style.setProperty("--at", `${shown}%`);
    if (before || after) (before ? this.#before : this.#after).fit(this.#root);
    this.#range.disabled = !comparable;
    this.#range.value = String(shown);
    this.#range.setAttribute("aria-valuetext", t("beforeAfter.value", { percent: Math.round(shown) }));
  }

  /** @param {number} percent */
  #moveTo(percent) {
    this.#root.classList.add("was-moved");
    this.#root.classList.remove("is-gliding");
    this.position = percent;
  }

  #listenToKeys() {
    this.#range.addEventListener("input", () => this.#moveTo(this.#range.valueAsNumber));
    this.#range.addEventListener("keydown", (event) => {
      const forward = event.key === "ArrowRight" || event.key === "ArrowUp";
      const backward = event.key === "ArrowLeft" || event.key === "ArrowDown";
      if ((!forward && !backward) || isShortcut(event)) return;
      event.preventDefault();
      this.#moveTo(this.#position + (forward ? KEY_STEP : -KEY_STEP));
    });
  }

  // The range itself takes no pointer: on iOS it can only be dragged by its thumb, not from where the finger lands.
  #listenToPointer() {
    const root = this.#root;
    /** @param {PointerEvent} event */
    const follow = (event) => {
      const { left, width } = root.getBoundingClientRect();
      this.#moveTo(((event.clientX - left) / width) * 100);
    };
    root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.#range.disabled) return;
      root.setPointerCapture(event.pointerId);
      if (event.pointerType === "mouse") follow(event); // a finger that lands may be about to scroll the page
    });
    root.addEventListener("pointermove", (event) => {
      if (root.hasPointerCapture(event.pointerId)) follow(event);
    });
    root.addEventListener("pointerup", (event) => {
      if (root.hasPointerCapture(event.pointerId)) follow(event);
    });
  }
}
