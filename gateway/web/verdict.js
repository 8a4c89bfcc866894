// Says whether two faces are one person's: in words, on a scale, and how sure that is.

import { part } from "./dom.js";
import { t } from "./i18n.js";
import { ProblemPanel } from "./problem-panel.js";
import { inWords } from "./problems.js";

/** @typedef {import("./api.js").Likeness} Likeness */
/** @typedef {import("./comparison.js").Comparison} Comparison */
/** @typedef {import("./problems.js").Words} Words */

const CLOSE = 0.05; // a similarity as near as this to the threshold decides nothing
const SCALE = { min: -0.2, max: 1 }; // unlike faces lie around 0; what lies below is shown at the edge

export class Verdict {
  #root;
  #pending;
  #answer;
  #scale;
  #problem;
  /** @type {(name: string) => HTMLElement} */
  #text;

  /**
   * @param {HTMLElement} root
   * @param {() => void} onRetry
   */
  constructor(root, onRetry) {
    this.#root = root;
    this.#pending = part(root, "pending", HTMLElement);
    this.#answer = part(root, "answer", HTMLElement);
    this.#scale = part(root, "scale", HTMLElement);
    this.#problem = new ProblemPanel(part(root, "problem", HTMLElement), onRetry);
    this.#text = (name) => part(root, name, HTMLElement);
  }

  /** @param {Comparison} comparison */
  render({ pending, likeness, problem }) {
    this.#root.hidden = !pending && likeness === null && problem === null;
    this.#pending.hidden = !pending;
    this.#answer.hidden = likeness === null;
    this.#problem.show(problem && whyNot(problem));
    if (likeness !== null) this.#renderAnswer(likeness);
  }

  /** @param {Likeness} likeness */
  #renderAnswer(likeness) {
    const { similarity, threshold, model } = likeness;
    const verdict = verdictOf(likeness);
    this.#root.dataset.verdict = verdict;
    part(this.#root, "verdict-icon", SVGUseElement).setAttribute("href", `#icon-${verdict}`);
    this.#text("headline").textContent = t(`compare.${verdict}`);
    this.#text("detail").textContent = t(`compare.${verdict}.detail`);
    this.#text("embedder").textContent = t("stage.model", { model });
    this.#text("similarity").textContent = number(similarity);
    this.#text("threshold").textContent = t("compare.threshold", { threshold: number(threshold) });
    this.#text("min").textContent = number(SCALE.min);
    this.#text("max").textContent = number(SCALE.max);
    this.#scale.setAttribute("aria-valuenow", String(similarity));
    this.#scale.setAttribute("aria-valuetext", numbersInWords(likeness));
    this.#scale.style.setProperty("--similarity", onScale(similarity));
    this.#scale.style.setProperty("--threshold", onScale(threshold));
    this.#scale.style.setProperty("--close-from", onScale(threshold - CLOSE));
    this.#scale.style.setProperty("--close-to", onScale(threshold + CLOSE));
  }
}

/**
 * @param {Likeness} likeness
 * @returns {string} the verdict and its numbers in a line
 */
export function verdictInWords(likeness) {
  return `${t(`compare.${verdictOf(likeness)}`)}. ${numbersInWords(likeness)}`;
}

/**
 * @param {Likeness} likeness
 * @returns {"same" | "different" | "close"}
 */
function verdictOf({ similarity, threshold }) {
  if (Math.abs(similarity - threshold) < CLOSE) return "close";
  return similarity > threshold ? "same" : "different";
}

/** @param {Likeness} likeness */
function numbersInWords({ similarity, threshold }) {
  return t("compare.numbers", { similarity: number(similarity), threshold: number(threshold) });
}

/**
 * Both faces were found, so a service that is not ready can only be the embedder.
 * @param {import("./api.js").Problem} problem
 * @returns {Words}
 */
function whyNot(problem) {
  const words = inWords(problem);
  if (problem.status !== 503) return words;
  return { ...words, headline: t("compare.unserved"), detail: `${words.detail} ${t("compare.hidingWorks")}` };
}

/** @param {number} value */
function number(value) {
  return value.toFixed(2).replace("-", "−");
}

/** @param {number} value */
function onScale(value) {
  const share = (value - SCALE.min) / (SCALE.max - SCALE.min);
  return `${Math.min(1, Math.max(0, share)) * 100}%`;
}
