// Lets a person correct which faces of a picture are hidden: by mouse, touch or keyboard.

import { BlobImage, fitTo } from "./blob-image.js";
import { percent, place } from "./detections.js";
import { icon, make, part } from "./dom.js";
import { onDrags } from "./dragging.js";
import { isShortcut } from "./fields.js";
import { onLanguageChange, t } from "./i18n.js";

/** @typedef {import("./dragging.js").Drag} Drag */
/** @typedef {import("./marks.js").Mark} Mark */
/** @typedef {import("./marks.js").Marks} Marks */
/** @typedef {import("./pictures.js").Picture} Picture */

/**
 * @typedef {object} Listeners
 * @property {(picture: Picture, marks: Marks | null) => void} onApply null = hide what is found, uncorrected
 * @property {(sentence: string) => void} onNews something to be read out
 * @property {() => void} onClose it was applied or cancelled
 */

/** @typedef {{ picture: Picture, marks: Marks }} Work */
/** @typedef {{ face: HTMLButtonElement, remove: HTMLButtonElement | null }} Box */

/**
 * @typedef {object} Dragged
 * @property {Mark} mark
 * @property {import("./api.js").Box | null} before where it was; null = it is being drawn
 */

/** @type {Record<string, [number, number]>} right and down */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LEAST_DRAWN_PX = 6; // on the screen: less is a slip of the hand

export class Corrector {
  #root;
  #say;
  #frame;
  #image;
  #layer;
  #count;
  #discard;
  /** @type {Work | null} */
  #work = null;
  /** @type {WeakMap<Picture, Marks>} what was not applied yet when another picture was looked at */
  #drafts = new WeakMap();
  /** @type {Map<Mark, Box>} */
  #boxes = new Map();
  /** @type {Dragged | null} */
  #dragged = null;

  /**
   * @param {HTMLElement} root
   * @param {Listeners} listeners
   */
  constructor(root, { onApply, onNews, onClose }) {
    this.#root = root;
    this.#say = onNews;
    this.#frame = part(root, "correction-frame", HTMLElement);
    this.#image = new BlobImage(part(root, "correction-image", HTMLImageElement));
    this.#layer = part(root, "marks", HTMLElement);
    this.#count = part(root, "correction-count", HTMLElement);
    this.#discard = part(root, "discard-correction", HTMLButtonElement);

    /** @param {(work: Work) => void} then */
    const finish = (then) => {
      const work = this.#work;
      if (work === null) return;
      this.close();
      this.#drafts.delete(work.picture);
      then(work);
      onClose();
    };
    part(root, "apply-correction", HTMLButtonElement).addEventListener("click", () => {
      finish(({ picture, marks }) => onApply(picture, marks));
    });
    this.#discard.addEventListener("click", () => finish(({ picture }) => onApply(picture, null)));
    part(root, "cancel-correction", HTMLButtonElement).addEventListener("click", () => finish(() => {}));
    part(root, "add-mark", HTMLButtonElement).addEventListener("click", () => this.#addInMiddle());
    onDrags(this.#layer, {
      onDrag: (drag) => this.#drag(drag),
      onDrop: () => this.#drop(),
      onCancel: () => this.#putBack(),
    });
    onLanguageChange(() => this.#render());
  }

  /** @returns {Picture | null} the one being corrected */
  get picture() {
    return this.#work?.picture ?? null;
  }

  /**
   * @param {Picture} picture one that the browser can show
   * @param {Marks} marks what to begin with, unless work on it was left unfinished
   */
  open(picture, marks) {
    const own = this.#drafts.get(picture) ?? marks.copy();
    this.#drafts.set(picture, own);
    this.#work = { picture, marks: own };
    fitTo(this.#frame, own.width, own.height);
    void this.#image.show(picture.file);
    this.#root.hidden = false;
    this.#render();
    const [first] = this.#boxes.values();
    (first?.face ?? part(this.#root, "add-mark", HTMLButtonElement)).focus();
  }

  /** Stops; the work on this picture goes on when it is opened again. */
  close() {
    this.#work = null;
    this.#dragged = null;
    this.#root.hidden = true;
    void this.#image.show(null);
    this.#boxes.clear();
    this.#layer.replaceChildren();
  }

  #render() {
    if (this.#work === null) return;
    const { picture, marks } = this.#work;
    for (const [mark, { face, remove }] of this.#boxes) {
      if (marks.all.includes(mark)) continue;
      face.remove();
      remove?.remove();
      this.#boxes.delete(mark);
    }
    for (const [index, mark] of marks.all.entries()) this.#renderBox(mark, index + 1, marks);
    this.#image.description = picture.file.name;
    const count = t("correct.count", { count: marks.all.length, hidden: marks.hidden.length });
    this.#count.textContent = count;
    this.#say(count);
    this.#discard.hidden = picture.marks === null;
  }

  /**
   * @param {Mark} mark
   * @param {number} number
   * @param {Marks} marks
   */
  #renderBox(mark, number, marks) {
    const { face, remove } = this.#boxes.get(mark) ?? this.#append(mark);
    const state = t(mark.hidden ? "correct.hidden" : "correct.kept");
    place(face, mark.box, marks);
    face.classList.toggle("is-kept", !mark.hidden);
    face.setAttribute("aria-label", t(mark.added ? "correct.added" : "correct.face", { number, state }));
    face.replaceChildren(...(mark.hidden ? [] : [make("span", "mark-state", t("correct.keptChip"))]));
    remove?.setAttribute("aria-label", t("correct.remove", { number }));
    remove?.style.setProperty("--right", percent(mark.box.x_max, marks.width));
    remove?.style.setProperty("--top", percent(mark.box.y_min, marks.height));
  }

  /** @param {Mark} mark */
  #append(mark) {
    const face = make("button", mark.added ? "mark is-added" : "mark");
    face.type = "button";
    face.addEventListener("click", () => {
      this.#work?.marks.toggle(mark);
      this.#render();
    });
    face.addEventListener("keydown", (event) => this.#onKey(event, mark));
    this.#layer.append(face);
    /** @type {Box} */
    const box = { face, remove: mark.added ? this.#appendRemove(mark) : null };
    this.#boxes.set(mark, box);
    return box;
  }

  /** @param {Mark} mark */
  #appendRemove(mark) {
    const remove = make("button", "mark-remove", icon("clear"));
    remove.type = "button";
    remove.addEventListener("click", () => this.#remove(mark));
    this.#layer.append(remove);
    return remove;
  }

  #addInMiddle() {
    const mark = this.#work?.marks.addInMiddle();
    this.#render();
    if (mark !== undefined) this.#boxes.get(mark)?.face.focus();
  }

  /** @param {Mark} mark */
  #remove(mark) {
    this.#work?.marks.remove(mark);
    this.#render();
    part(this.#root, "add-mark", HTMLButtonElement).focus({ preventScroll: true }); // what had the focus is gone
  }

  /**
   * @param {KeyboardEvent} event
   * @param {Mark} mark
   */
  #onKey(event, mark) {
    const arrow = ARROWS[event.key];
    const removes = event.key === "Delete" || event.key === "Backspace";
    if (this.#work === null || !mark.added || (arrow === undefined && !removes) || isShortcut(event)) return;
    event.preventDefault();
    if (arrow === undefined) return this.#remove(mark);
    const { marks } = this.#work;
    const [right, down] = arrow.map((direction) => direction * marks.stepPx);
    if (event.shiftKey) marks.resize(mark, right, down);
    else marks.move(mark, right, down);
    this.#render();
  }

  /**
   * Moves the added box that the drag began on, or draws a new one.
   * @param {Drag} drag
   */
  #drag({ start, from, to }) {
    if (this.#work === null) return;
    const { marks } = this.#work;
    const [x, y] = [from.x * marks.width, from.y * marks.height];
    const [right, down] = [(to.x - from.x) * marks.width, (to.y - from.y) * marks.height];
    this.#dragged ??= this.#grab(start, marks);
    const { mark, before } = this.#dragged;
    if (before === null) marks.reshape(mark, boxBetween(x, y, x + right, y + down));
    else {
      marks.reshape(mark, before);
      marks.move(mark, right, down);
    }
    this.#render();
  }

  /**
   * @param {Element} start
   * @param {Marks} marks
   * @returns {Dragged}
   */
  #grab(start, marks) {
    const [mark] = [...this.#boxes].find(([{ added }, { face }]) => added && face === start) ?? [];
    return mark === undefined ? { mark: marks.addInMiddle(), before: null } : { mark, before: mark.box };
  }

  #drop() {
    if (this.#dragged === null) return;
    const face = this.#boxes.get(this.#dragged.mark)?.face;
    const { width = 0, height = 0 } = face?.getBoundingClientRect() ?? {};
    if (this.#dragged.before === null && Math.min(width, height) < LEAST_DRAWN_PX) return this.#putBack();
    this.#dragged = null;
    face?.focus({ preventScroll: true });
  }

  #putBack() {
    if (this.#work === null || this.#dragged === null) return;
    const { mark, before } = this.#dragged;
    this.#dragged = null;
    if (before === null) this.#work.marks.remove(mark);
    else this.#work.marks.reshape(mark, before);
    this.#render();
  }
}

/**
 * @param {number} x of a corner
 * @param {number} y
 * @param {number} otherX of the opposite one
 * @param {number} otherY
 * @returns {import("./api.js").Box}
 */
function boxBetween(x, y, otherX, otherY) {
  return {
    x_min: Math.min(x, otherX),
    y_min: Math.min(y, otherY),
    x_max: Math.max(x, otherX),
    y_max: Math.max(y, otherY),
  };
}
