// The view that hides faces: what comes in becomes pictures, and what changes is shown.

import { listModels } from "./api.js";
import { Corrector } from "./corrector.js";
import { part } from "./dom.js";
import { download, downloadAll } from "./downloads.js";
import { Filmstrip } from "./filmstrip.js";
import { onLanguageChange, t } from "./i18n.js";
import { takePicked } from "./intake.js";
import { Pictures } from "./pictures.js";
import { isCurable, isUnserved } from "./problems.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { Toolbar } from "./toolbar.js";

/** @typedef {import("./pictures.js").Picture} Picture */
/** @typedef {import("./views.js").View} View */

/** @implements {View} */
export class HideView {
  root;
  /** @type {View["title"]} */
  title = "hide.title";

  #say;
  #hero;
  #workspace;
  #notice;
  #veil;
  #settings;
  #pictures;
  #stage;
  #corrector;
  #filmstrip;
  #toolbar;
  /** @type {Picture | null} */
  #selected = null;

  /**
   * @param {HTMLElement} root
   * @param {object} listeners
   * @param {(sentence: string) => void} listeners.onNews something to be read out
   * @param {() => void} listeners.onUnserved the service turned out not to be ready
   */
  constructor(root, { onNews, onUnserved }) {
    this.root = root;
    this.#say = onNews;
    this.#hero = part(root, "hero", HTMLElement);
    this.#workspace = part(root, "workspace", HTMLElement);
    this.#notice = part(root, "notice", HTMLElement);
    this.#veil = part(root, "drop-veil", HTMLElement);
    this.#settings = new Settings(part(root, "settings", HTMLFormElement), (options) => {
      this.#stage.options = options;
      this.#pictures.apply(options, this.#selected);
    });
    this.#pictures = new Pictures(this.#settings.options);
    this.#stage = new Stage(part(root, "stage", HTMLElement), this.#settings.options, {
      onDownload: download,
      onRetry: (picture) => this.#pictures.retry(picture),
      onRemove: (picture) => this.#remove(picture),
      onUseMaxRecall: () => this.#settings.useMaxRecall(),
      onCorrect: (picture, marks) => {
        this.#stage.hidden = true;
        this.#corrector.open(picture, marks);
      },
    });
    this.#corrector = new Corrector(part(root, "corrector", HTMLElement), {
      onApply: (picture, marks) => this.#pictures.correct(picture, marks),
      onNews,
      onClose: () => {
        this.#render();
        this.#stage.focusCorrect();
      },
    });
    this.#filmstrip = new Filmstrip(part(root, "filmstrip", HTMLUListElement), {
      onOpen: (picture) => this.#open(picture),
      onSelect: (picture) => this.#select(picture),
      onRemove: (picture) => this.#remove(picture),
    });
    this.#toolbar = new Toolbar(root, {
      onRetryFailed: () => this.#pictures.retryFailed(),
      onStartOver: () => this.#startOver(),
      onDownloadAll: () => downloadAll(this.#pictures.finished),
      onProblem: (sentence) => this.#tell(sentence),
    });

    this.#pictures.addEventListener("change", () => this.#render());
    this.#pictures.addEventListener("settled", () => {
      this.#say(this.#toolbar.summary(this.#pictures.totals));
      if (this.#pictures.all.some(({ problem }) => isUnserved(problem))) onUnserved();
    });
    onLanguageChange(() => this.#render());
    const choosers = root.querySelectorAll("[data-action='choose']");
    takePicked(part(root, "file-input", HTMLInputElement), choosers, (files) => this.take(files));
    void this.#offerModels();
  }

  /** @param {File[]} files */
  take(files) {
    this.#tell(files.length === 0 ? t("toolbar.noFiles") : "");
    const [first] = this.#pictures.add(files);
    if (first !== undefined) this.#select(first);
  }

  /** @param {Element | null} at */
  hover(at) {
    this.#veil.hidden = at === null;
  }

  /** The service has become ready, or has been shown another key: what failed for want of it is done now. */
  resume() {
    this.#pictures.retryFailed(({ problem }) => isCurable(problem));
    void this.#offerModels();
  }

  /** @param {Picture} picture */
  #select(picture) {
    this.#selected = picture;
    this.#render();
  }

  /** @param {Picture} picture */
  #open(picture) {
    this.#select(picture);
    part(this.root, "stage", HTMLElement).scrollIntoView({ block: "nearest" }); // a long list leads far away from it
  }

  /** @param {Picture} picture */
  #remove(picture) {
    const all = this.#pictures.all;
    const index = all.indexOf(picture);
    if (picture === this.#selected) this.#selected = all[index + 1] ?? all[index - 1] ?? null;
    this.#pictures.remove(picture);
    if (this.#selected === null) this.#startOver();
    else this.#render();
  }

  #startOver() {
    this.#selected = null;
    this.#pictures.clear();
    this.#tell("");
    this.#render();
    part(this.#hero, "choose", HTMLButtonElement).focus(); // what had the focus is gone
  }

  #render() {
    const all = this.#pictures.all;
    if (this.#pictures.totals.busy) this.#say(t("state.working"));
    this.#hero.hidden = all.length > 0;
    this.#workspace.hidden = all.length === 0;
    this.#toolbar.render(this.#pictures.totals);
    this.#filmstrip.render(all, this.#selected);
    this.#stage.render(this.#selected);
    if (this.#corrector.picture !== this.#selected) this.#corrector.close();
    this.#stage.hidden = this.#corrector.picture !== null;
  }

  /** @param {string} sentence empty = nothing to tell any more */
  #tell(sentence) {
    this.#notice.textContent = sentence;
    this.#notice.hidden = sentence === "";
  }

  async #offerModels() {
    const models = await listModels().catch(() => []); // the choice is a convenience: without an answer there is none
    this.#settings.offerModels(models.filter(({ tier }) => tier === "detector"));
  }
}
