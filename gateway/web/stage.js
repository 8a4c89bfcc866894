// The selected picture, large: before and after, what was found, what went wrong, and what to do with it.

import { Problem, detect } from "./api.js";
import { BeforeAfter } from "./before-after.js";
import { drawDetections } from "./detections.js";
import { part } from "./dom.js";
import { t } from "./i18n.js";
import { Marks } from "./marks.js";
import { checkInWords, stateInWords } from "./outcome.js";
import { isFinished } from "./pictures.js";
import { ProblemPanel } from "./problem-panel.js";
import { inWords } from "./problems.js";

/** @typedef {import("./api.js").Detections} Detections */
/** @typedef {import("./api.js").Hidden} Hidden */
/** @typedef {import("./api.js").Options} Options */
/** @typedef {import("./pictures.js").Picture} Picture */

/**
 * @typedef {object} Listeners
 * @property {(picture: Picture & { result: Hidden }) => void} onDownload
 * @property {(picture: Picture) => void} onRetry
 * @property {(picture: Picture) => void} onRemove
 * @property {() => void} onUseMaxRecall
 * @property {(picture: Picture, marks: Marks) => void} onCorrect the marks are what is hidden now
 */

export class Stage {
  #root;
  #beforeAfter;
  #options;
  /** @type {Picture | null} */
  #picture = null;
  /** @type {Hidden | null} the result being compared */
  #result = null;
  #beforeShows = true;
  #afterShows = true;
  #detecting = new AbortController();
  #awaitsMarks = false;

  #problem;
  #note;
  #busy;
  #noneFound;
  #useMax;
  #download;
  #remove;
  #correct;
  #showDetections;
  #detectionsProblem;
  /** @type {(name: string) => HTMLElement} */
  #text;

  /**
   * @param {HTMLElement} root
   * @param {Options} options
   * @param {Listeners} listeners
   */
  constructor(root, options, { onDownload, onRetry, onRemove, onUseMaxRecall, onCorrect }) {
    this.#root = root;
    this.#options = options;
    this.#beforeAfter = new BeforeAfter(part(root, "before-after", HTMLElement));
    this.#problem = new ProblemPanel(part(root, "problem", HTMLElement), () => this.#picture && onRetry(this.#picture));
    this.#note = part(root, "note", HTMLElement);
    this.#busy = part(root, "busy", HTMLElement);
    this.#noneFound = part(root, "none-found", HTMLElement);
    this.#useMax = part(root, "use-max", HTMLButtonElement);
    this.#download = part(root, "download", HTMLButtonElement);
    this.#remove = part(root, "remove", HTMLButtonElement);
    this.#correct = part(root, "correct", HTMLButtonElement);
    this.#showDetections = part(root, "show-detections", HTMLButtonElement);
    this.#detectionsProblem = part(root, "detections-problem", HTMLElement);
    this.#text = (name) => part(root, name, HTMLElement);

    this.#download.addEventListener("click", () => {
      if (this.#picture !== null && isFinished(this.#picture)) onDownload(this.#picture);
    });
    this.#remove.addEventListener("click", () => this.#picture && onRemove(this.#picture));
    this.#useMax.addEventListener("click", onUseMaxRecall);
    this.#correct.addEventListener("click", () => void this.#startCorrecting(onCorrect));
    this.#showDetections.addEventListener("click", () => this.#toggleDetections());
  }

  /** @param {boolean} hidden whether something else stands in its place */
  set hidden(hidden) {
    this.#root.hidden = hidden;
  }

  /** Hands the focus back to what led away from here. */
  focusCorrect() {
    this.#correct.focus();
  }

  /** @param {Options} options from now on */
  set options(options) {
    const { recall, model } = this.#options;
    this.#options = options;
    if (recall !== options.recall || model !== options.model) void this.#drawDetections();
  }

  /**
   * Shows a picture as it is now.
   * @param {Picture | null} picture
   */
  render(picture) {
    if (picture !== this.#picture) this.#turnTo(picture);
    const result = picture?.result ?? null;
    if (result !== this.#result) void this.#showResult(result);
    if (picture !== null) this.#renderWords(picture);
  }

  /** @param {Picture | null} picture */
  #turnTo(picture) {
    this.#picture = picture;
    this.#result = null;
    this.#beforeShows = true;
    this.#afterShows = true;
    void this.#beforeAfter.showAfter(null);
    void this.#beforeAfter.showBefore(null);
    this.#beforeAfter.position = this.#detectionsShown ? 100 : 0;
    void this.#drawDetections();
    if (picture !== null) void this.#load(picture);
  }

  /** @param {Picture} picture */
  async #load(picture) {
    if (picture.result !== null) await this.#showResult(picture.result); // first, so that no hidden face flashes up
    if (picture !== this.#picture) return;
    const shows = await this.#beforeAfter.showBefore(picture.file);
    if (picture !== this.#picture) return;
    this.#beforeShows = shows;
    this.#renderWords(picture);
  }

  /** @param {Hidden | null} result */
  async #showResult(result) {
    this.#result = result;
    const shows = await this.#beforeAfter.showAfter(result?.content ?? null);
    if (result !== this.#result || this.#picture === null) return;
    this.#afterShows = shows;
    this.#renderWords(this.#picture);
  }

  /** @param {Picture} picture */
  #renderWords(picture) {
    const { file, state, result, problem } = picture;
    const busy = state === "waiting" || state === "working";
    this.#beforeAfter.describe(file.name);
    this.#text("name").textContent = file.name;
    this.#text("faces").textContent = stateInWords(picture);
    this.#text("model").textContent = isFinished(picture) ? origin(picture) : "";
    this.#text("checked").textContent = isFinished(picture) ? checkInWords(picture.result.check) : "";
    this.#text("check").hidden = !isFinished(picture) || result?.faces === 0;
    this.#text("model-notice").hidden = !isFinished(picture) || !result?.notice;
    this.#text("model-notice").textContent = result?.notice ?? "";
    this.#download.disabled = !isFinished(picture);

    this.#correct.disabled = !this.#beforeShows;
    this.#showDetections.disabled = !this.#beforeShows;
    this.#busy.hidden = !busy && !this.#awaitsMarks;
    this.#text("busy-text").textContent = this.#awaitsMarks ? t("state.searching") : stateInWords(picture);

    const nothingShows = !this.#beforeShows && (result === null || !this.#afterShows);
    this.#note.hidden = problem !== null || busy || this.#beforeShows;
    this.#note.textContent = nothingShows ? t("stage.noPreview") : t("stage.onlyAfter");

    this.#noneFound.hidden = !isFinished(picture) || result?.faces !== 0;
    this.#text("none-found-text").textContent = this.#noneInWords(picture);
    this.#useMax.hidden = this.#options.recall === "max" || picture.marks !== null;

    this.#problem.show(problem && inWords(problem));
  }

  /** @param {Picture} picture */
  #noneInWords({ marks }) {
    if (marks !== null) return t("faces.noneHiddenDetail");
    return this.#options.recall === "max" ? t("faces.noneAtMax") : t("faces.noneDetail");
  }

  get #detectionsShown() {
    return this.#showDetections.getAttribute("aria-pressed") === "true";
  }

  #toggleDetections() {
    const shown = !this.#detectionsShown;
    this.#showDetections.setAttribute("aria-pressed", String(shown));
    this.#beforeAfter.glideTo(shown ? 100 : 0);
    void this.#drawDetections();
  }

  /** Draws the detections anew where they are asked for, else nothing. */
  async #drawDetections() {
    const layer = this.#text("detections");
    drawDetections(layer, null);
    const detections = await this.#detect(this.#detectionsShown ? this.#picture : null);
    if (detections !== null) drawDetections(layer, detections);
  }

  /** @param {Listeners["onCorrect"]} onCorrect */
  async #startCorrecting(onCorrect) {
    const picture = this.#picture;
    if (picture === null || this.#awaitsMarks) return;
    if (picture.marks !== null) return onCorrect(picture, picture.marks);
    this.#awaitsMarks = true;
    this.#renderWords(picture);
    const detections = await this.#detect(picture);
    this.#awaitsMarks = false;
    if (this.#picture !== null) this.#renderWords(this.#picture);
    if (detections !== null) onCorrect(picture, Marks.of(detections));
  }

  /**
   * Finds the faces of a picture, in place of what was looked for before; says so where that fails.
   * @param {Picture | null} picture null = look for nothing any more
   * @returns {Promise<Detections | null>} null = there was no answer, or it is no longer wanted
   */
  async #detect(picture) {
    this.#detecting.abort();
    this.#detecting = new AbortController();
    const { signal } = this.#detecting;
    this.#detectionsProblem.hidden = true;
    if (picture === null) return null;
    try {
      const detections = await detect(picture.file, this.#options, signal);
      return signal.aborted ? null : detections;
    } catch (error) {
      if (signal.aborted) return null;
      const { headline: why, detail } = inWords(Problem.of(error));
      this.#detectionsProblem.textContent = `${t("problem.detections")}: ${why}. ${detail}`;
      this.#detectionsProblem.hidden = false;
      return null;
    }
  }
}

/**
 * @param {Picture & { result: Hidden }} picture
 * @returns {string} by whom it was told what to hide; empty where the server does not say
 */
function origin({ marks, result }) {
  if (marks !== null) return t("stage.corrected");
  return result.model === "" ? "" : t("stage.model", { model: result.model });
}
