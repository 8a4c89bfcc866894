// The loaded pictures and their way through the server: waiting, working, then done or failed.

import { Problem, anonymize } from "./api.js";
import { patiently } from "./patience.js";
import { Queue } from "./queue.js";

/** @typedef {import("./api.js").Hidden} Hidden */
/** @typedef {import("./api.js").Options} Options */
/** @typedef {import("./marks.js").Marks} Marks */

/**
 * One picture; only `Pictures` changes it.
 * @typedef {object} Picture
 * @property {File} file
 * @property {Marks | null} marks what to hide, corrected by hand; null = every face that is found
 * @property {"waiting" | "working" | "done" | "failed"} state
 * @property {Hidden | null} result while waiting or working: that of earlier options, if any
 * @property {Problem | null} problem why it failed
 */

/** @typedef {{ count: number, done: number, failed: number, faces: number, busy: boolean }} Totals */

const AT_ONCE = 3;

/** Fires `change` whenever the list or the state of a picture changes, and `settled` when nothing is left to do. */
export class Pictures extends EventTarget {
  /** @type {Map<Picture, AbortController>} */
  #pictures = new Map();
  #queue = new Queue(AT_ONCE);
  #options;
  #telling = false;

  /** @param {Options} options */
  constructor(options) {
    super();
    this.#options = options;
  }

  /** @returns {Picture[]} in the order they were added */
  get all() {
    return [...this.#pictures.keys()];
  }

  /** @returns {(Picture & { result: Hidden })[]} those whose faces are hidden as the options ask */
  get finished() {
    return this.all.filter(isFinished);
  }

  /** @returns {Totals} */
  get totals() {
    const all = this.all;
    const finished = this.finished;
    const failed = all.filter((picture) => picture.state === "failed").length;
    return {
      count: all.length,
      done: finished.length,
      failed,
      faces: finished.reduce((sum, { result }) => sum + result.faces, 0),
      busy: finished.length + failed < all.length,
    };
  }

  /**
   * @param {File[]} files
   * @returns {Picture[]} the new ones
   */
  add(files) {
    const added = files.map((file) => {
      /** @type {Picture} */
      const picture = { file, marks: null, state: "waiting", result: null, problem: null };
      this.#pictures.set(picture, new AbortController());
      return picture;
    });
    for (const picture of added) this.retry(picture);
    return added;
  }

  /** @param {Picture} picture */
  remove(picture) {
    this.#pictures.get(picture)?.abort();
    this.#pictures.delete(picture);
    this.#changed();
  }

  clear() {
    for (const abort of this.#pictures.values()) abort.abort();
    this.#pictures.clear();
    this.#changed();
  }

  /**
   * Treats every picture again.
   * @param {Options} options
   * @param {Picture | null} first the one being looked at
   */
  apply(options, first) {
    this.#options = options;
    for (const picture of this.all.sort((a, b) => Number(b === first) - Number(a === first))) this.retry(picture);
  }

  /**
   * Treats a picture again, as it was corrected by hand.
   * @param {Picture} picture
   * @param {Marks | null} marks null = no longer
   */
  correct(picture, marks) {
    picture.marks = marks;
    this.retry(picture);
  }

  /** @param {(picture: Picture) => boolean} [which] */
  retryFailed(which = () => true) {
    for (const picture of this.all) if (picture.state === "failed" && which(picture)) this.retry(picture);
  }

  /**
   * Treats a picture again, from the start.
   * @param {Picture} picture
   */
  retry(picture) {
    this.#pictures.get(picture)?.abort();
    const abort = new AbortController();
    this.#pictures.set(picture, abort);
    picture.state = "waiting";
    picture.problem = null;
    this.#queue.add(() => this.#treat(picture, abort.signal), abort.signal);
    this.#changed();
  }

  /**
   * @param {Picture} picture
   * @param {AbortSignal} signal
   */
  async #treat(picture, signal) {
    picture.state = "working";
    this.#changed();
    try {
      // Waiting out a busy server keeps the place in the queue, so that the others slow down too.
      const result = await patiently(() => anonymize(picture, this.#options, signal), signal);
      if (signal.aborted) return;
      picture.state = "done";
      picture.result = result;
    } catch (error) {
      if (signal.aborted) return;
      picture.state = "failed";
      picture.result = null;
      picture.problem = Problem.of(error);
    }
    this.#changed();
    if (!this.totals.busy) this.dispatchEvent(new Event("settled"));
  }

  /** Tells of many changes at once. */
  #changed() {
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      this.dispatchEvent(new Event("change"));
    });
  }
}

/**
 * @param {Picture} picture
 * @returns {picture is Picture & { result: Hidden }}
 */
export function isFinished(picture) {
  return picture.state === "done" && picture.result !== null;
}
