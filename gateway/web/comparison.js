// Two pictures and their way through the server: the face of each is found, then both faces are compared.

import { Problem, compare, detect } from "./api.js";
import { patiently } from "./patience.js";

/** @typedef {import("./api.js").Detections} Detections */
/** @typedef {import("./api.js").Face} Face */
/** @typedef {import("./api.js").Likeness} Likeness */
/** @typedef {0 | 1} Side */

/**
 * One of the two pictures; only `Comparison` changes it.
 * @typedef {object} Subject
 * @property {File} file
 * @property {Detections | null} detections null = not known yet, or for want of an answer never
 * @property {Face | null} face the one that counts: the largest
 * @property {Problem | null} problem why it cannot be compared
 */

const SEARCH = { recall: /** @type {const} */ ("balanced"), model: "" };
const FIELDS = ["image_a", "image_b"];

/** Fires `change` whenever something about it changes, and `settled` whenever an answer has come. */
export class Comparison extends EventTarget {
  /** @type {[Subject | null, Subject | null]} */
  #subjects = [null, null];
  /** @type {WeakMap<Subject, AbortController>} */
  #searches = new WeakMap();
  /** @type {AbortController | null} of the call that is under way */
  #call = null;
  /** @type {Likeness | null} */
  #likeness = null;
  /** @type {Problem | null} */
  #problem = null;

  /** @returns {readonly [Subject | null, Subject | null]} */
  get subjects() {
    return this.#subjects;
  }

  /** @returns {boolean} whether a face is being looked for */
  get searching() {
    return this.#subjects.some((subject) => subject !== null && subject.detections === null && subject.problem === null);
  }

  /** @returns {boolean} whether there are two pictures and an answer may still come */
  get pending() {
    return this.#likeness === null && this.#problem === null && this.#subjects.every(isHopeful);
  }

  /** @returns {Likeness | null} the answer, once it is there */
  get likeness() {
    return this.#likeness;
  }

  /** @returns {Problem | null} why two faces that were found could not be compared */
  get problem() {
    return this.#problem;
  }

  /** @returns {Problem[]} everything that went wrong */
  get problems() {
    return [this.#problem, ...this.#subjects.map((subject) => subject?.problem)].filter((problem) => problem != null);
  }

  /**
   * Puts a picture at a side in place of the one there, and compares once both sides have a face.
   * @param {Side} side
   * @param {File | null} file null = none
   */
  put(side, file) {
    const previous = this.#subjects[side];
    const subject = file && { file, detections: null, face: null, problem: null };
    if (previous !== null) this.#searches.get(previous)?.abort();
    this.#subjects[side] = subject;
    this.#forget();
    this.#changed();
    if (subject !== null) void this.#search(subject);
  }

  /** Changes the sides: how alike two faces are knows none, so that an answer stays. */
  swap() {
    this.#subjects.reverse();
    this.#changed();
  }

  clear() {
    this.put(0, null);
    this.put(1, null);
  }

  /** Does again what failed. */
  retry() {
    for (const side of /** @type {const} */ ([0, 1])) {
      const subject = this.#subjects[side];
      if (subject !== null && subject.problem !== null) this.put(side, subject.file);
    }
    if (this.#problem !== null) void this.#compare();
  }

  /** @param {Subject} subject */
  async #search(subject) {
    const search = new AbortController();
    this.#searches.set(subject, search);
    const { signal } = search;
    try {
      const detections = await patiently(() => detect(subject.file, SEARCH, signal), signal);
      if (signal.aborted) return;
      subject.detections = detections;
      subject.face = largest(detections.faces);
    } catch (error) {
      if (signal.aborted) return;
      subject.problem = Problem.of(error);
    }
    this.#settled();
    await this.#compare();
  }

  async #compare() {
    const [a, b] = this.#subjects;
    if (!a?.face || !b?.face) return;
    this.#forget();
    const call = (this.#call = new AbortController());
    this.#changed();
    try {
      const likeness = await patiently(() => compare([a.file, b.file], SEARCH, call.signal), call.signal);
      if (call.signal.aborted) return;
      this.#likeness = likeness;
      [a.face, b.face] = likeness.faces;
    } catch (error) {
      if (call.signal.aborted) return;
      this.#blame(Problem.of(error), [a, b]);
    }
    this.#call = null;
    this.#settled();
  }

  /**
   * @param {Problem} problem
   * @param {[Subject, Subject]} pair in the order in which they were sent
   */
  #blame(problem, pair) {
    const subject = problem.status === 400 ? pair.find((_, index) => problem.detail.includes(FIELDS[index])) : undefined;
    if (subject === undefined) this.#problem = problem;
    else subject.problem = problem;
  }

  #forget() {
    this.#call?.abort();
    this.#call = null;
    this.#likeness = null;
    this.#problem = null;
  }

  #settled() {
    this.#changed();
    this.dispatchEvent(new Event("settled"));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {Subject | null} subject */
function isHopeful(subject) {
  return subject !== null && subject.problem === null && (subject.detections === null || subject.face !== null);
}

/**
 * @param {Face[]} faces
 * @returns {Face | null}
 */
function largest(faces) {
  /** @param {Face} face */
  const area = ({ box }) => (box.x_max - box.x_min) * (box.y_max - box.y_min);
  return [...faces].sort((a, b) => area(b) - area(a))[0] ?? null;
}
