// The settings form: reads how faces are to be found and hidden, and tells when that changes.

import { part } from "./dom.js";
import { isMessageKey, onLanguageChange, t } from "./i18n.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {import("./api.js").Options} Options */

const SETTLE_MS = 250; // a slider being dragged is not an answer yet

export class Settings {
  #form;
  #strength;
  #margin;
  #boxes;
  #verify;
  #model;
  /** @type {Model[]} */
  #models = [];

  /**
   * @param {HTMLFormElement} form
   * @param {(options: Options) => void} onChange called once a change has settled
   */
  constructor(form, onChange) {
    this.#form = form;
    this.#strength = part(form, "strength", HTMLInputElement);
    this.#margin = part(form, "margin", HTMLInputElement);
    this.#boxes = part(form, "boxes", HTMLInputElement);
    this.#verify = part(form, "verify", HTMLInputElement);
    this.#model = part(form, "model-choice", HTMLSelectElement);
    let told = JSON.stringify(this.options);
    /** @type {number | undefined} */
    let timer;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      this.#render();
      clearTimeout(timer);
      timer = setTimeout(() => {
        const now = JSON.stringify(this.options);
        if (now !== told) onChange(this.options);
        told = now;
      }, SETTLE_MS);
    });
    onLanguageChange(() => this.#render());
    this.#render();
  }

  /** @returns {Options} */
  get options() {
    return {
      style: /** @type {Options["style"]} */ (this.#chosen("style")),
      strength: this.#strength.valueAsNumber,
      margin: this.#margin.valueAsNumber,
      shape: /** @type {Options["shape"]} */ (this.#chosen("shape")),
      recall: /** @type {Options["recall"]} */ (this.#chosen("recall")),
      model: this.#model.value,
      boxes: this.#boxes.checked,
      verify: this.#verify.checked,
    };
  }

  /** Looks as hard as possible. */
  useMaxRecall() {
    const max = this.#form.querySelector("input[name='recall'][value='max']");
    if (max instanceof HTMLInputElement) max.click();
  }

  /** @param {Model[]} models the choice is hidden where there are none */
  offerModels(models) {
    this.#models = models;
    this.#render();
  }

  /** @param {string} name */
  #chosen(name) {
    return String(new FormData(this.#form).get(name));
  }

  #render() {
    const { style, strength, margin, recall } = this.options;
    this.#strength.disabled = style === "solid";
    part(this.#form, "strength-value", HTMLOutputElement).value = style === "solid" ? "" : `${Math.round(strength * 100)} %`;
    part(this.#form, "margin-value", HTMLOutputElement).value = `${Math.round(margin * 100)} %`;
    this.#hint("style-hint", `settings.styleHint.${style}`);
    this.#hint("recall-hint", `settings.recallHint.${recall}`);
    this.#renderModels();
  }

  /**
   * @param {string} name
   * @param {string} key
   */
  #hint(name, key) {
    part(this.#form, name, HTMLElement).textContent = isMessageKey(key) ? t(key) : "";
  }

  #renderModels() {
    part(this.#form, "model-field", HTMLElement).hidden = this.#models.length === 0;
    const chosen = this.#model.value;
    const standard = this.#models.find((model) => model.is_default);
    const label = standard ? t("settings.model.defaultNamed", { name: standard.name }) : t("settings.model.default");
    const offered = this.#models.map(({ name, serving, detail }) => {
      const option = new Option(serving ? name : t("settings.model.absent", { name }), name, false, name === chosen);
      option.disabled = !serving;
      option.title = detail;
      return option;
    });
    this.#model.replaceChildren(new Option(label, ""), ...offered);
    this.#model.value = chosen;
  }
}
