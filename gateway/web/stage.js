// The selected picture, large: before and after, what was found, what went wrong, and what to do with it.

import { Problem, detect } from "./api.js";
import { BeforeAfter } from "./before-after.js";
import { drawDetections } from "./detections.js";
import { part } from "./dom.js";
import { t } from "./i18n.js";
import { isFinished } from "./pictures.js";
import { ProblemPanel } from "./problem-panel.js";
import { inWords } from "./problems.js";

/** @typedef {import("./api.js").Hidden} Hidden */
/** @typedef {import("./api.js").Options} Options */
/** @typedef {import("./pictures.js").Picture} Picture */

/**
 * @typedef {object} Listeners
 * @property {(picture: Picture & { result: Hidden }) => void} onDownload
 * @property {(picture: Picture) => void} onRetry
 * @property {(picture: Picture) => void} onRemove
 * @property {() => void} onUseMaxRecall
 */

export class Stage {
  #beforeAfter;
  #options;
  /** @type {Picture | null} */
  #picture = null;
  /** @type {Hidden | null} the result being compared */
  #result = null;
  #beforeShows = true;
  #afterShows = true;
  #detecting = new AbortController();

  #problem;
  #note;
  #busy;
  #noneFound;
  #useMax;
  #download;
  #remove;
  #showDetections;
  #detectionsProblem;
  /** @type {(name: string) => HTMLElement} */
  #text;

  /**
   * @param {HTMLElement} root
   * @param {Options} options
   * @param {Listeners} listeners
   */
  constructor(root, options, { onDownload, onRetry, onRemove, onUseMaxRecall }) {
    this.#options = options;
    this.#beforeAfter = new BeforeAfter(part(root, "before-after", HTMLElement));
    this.#problem = new ProblemPanel(part(root, "problem", HTMLElement), () => this.#picture && onRetry(this.#picture));
    this.#note = part(root, "note", HTMLElement);
    this.#busy = part(root, "busy", HTMLElement);
    this.#noneFound = part(root, "none-found", HTMLElement);
    this.#useMax = part(root, "use-max", HTMLButtonElement);
    this.#download = part(root, "download", HTMLButtonElement);
    this.#remove = part(root, "remove", HTMLButtonElement);
    this.#showDetections = part(root, "show-detections", HTMLButtonElement);
    this.#detectionsProblem = part(root, "detections-problem", HTMLElement);
    this.#text = (name) => part(root, name, HTMLElement);

    this.#download.addEventListener("click", () => {
      if (this.#picture !== null && isFinished(this.#picture)) onDownload(this.#picture);
    });
    this.#remove.addEventListener("click", () => this.#picture && onRemove(this.#picture));
    this.#useMax.addEventListener("click", onUseMaxRecall);
    this.#showDetections.addEventListener("click", () => this.#toggleDetections());
  }

  /** @param {Options} options from now on */
  set options(options) {
    const { recall, model } = this.#options;
    this.#options = options;
    if (recall !== options.recall || model !== options.model) void this.#detect();
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
    void this.#detect();
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
    this.#text("faces").textContent = headline(picture);
    this.#text("model").textContent = isFinished(picture) && result?.model ? t("stage.model", { model: result.model }) : "";
    this.#text("check").hidden = !isFinished(picture) || result?.faces === 0;
    this.#text("model-notice").hidden = !isFinished(picture) || !result?.notice;
    this.#text("model-notice").textContent = result?.notice ?? "";
    this.#download.disabled = !isFinished(picture);

    this.#showDetections.disabled = !this.#beforeShows;
    this.#busy.hidden = !busy;
    this.#text("busy-text").textContent = state === "waiting" ? t("state.waiting") : t("state.working");

    const nothingShows = !this.#beforeShows && (result === null || !this.#afterShows);
    this.#note.hidden = problem !== null || busy || this.#beforeShows;
    this.#note.textContent = nothingShows ? t("stage.noPreview") : t("stage.onlyAfter");

    const atMax = this.#options.recall === "max";
    this.#noneFound.hidden = !isFinished(picture) || result?.faces !== 0;
    this.#text("none-found-text").textContent = atMax ? t("faces.noneAtMax") : t("faces.noneDetail");
    this.#useMax.hidden = atMax;

    this.#problem.show(problem && inWords(problem));
  }

  get #detectionsShown() {
    return this.#showDetections.getAttribute("aria-pressed") === "true";
  }

  #toggleDetections() {
    const shown = !this.#detectionsShown;
    this.#showDetections.setAttribute("aria-pressed", String(shown));
    this.#beforeAfter.glideTo(shown ? 100 : 0);
    void this.#detect();
  }

  /** Draws the detections anew where they are asked for, else nothing. */
  async #detect() {
    const layer = this.#text("detections");
    this.#detecting.abort();
    this.#detecting = new AbortController();
    const { signal } = this.#detecting;
    drawDetections(layer, null);
    this.#detectionsProblem.hidden = true;
    if (this.#picture === null || !this.#detectionsShown) return;
    try {
      const detections = await detect(this.#picture.file, this.#options, signal);
      if (!signal.aborted) drawDetections(layer, detections);
    } catch (error) {
      if (signal.aborted) return;
      const { headline: why, detail } = inWords(Problem.of(error));
      this.#detectionsProblem.textContent = `${t("problem.detections")}: ${why}. ${detail}`;
      this.#detectionsProblem.hidden = false;
    }
  }
}

/** @param {Picture} picture */
function headline(picture) {
  if (isFinished(picture)) {
    const count = picture.result.faces;
    return count === 0 ? t("faces.none") : t("faces.hidden", { count });
  }
  if (picture.state === "failed") return t("state.failed");
  return picture.state === "waiting" ? t("state.waiting") : t("state.working");
}
