// One of the two pictures to compare, its face outlined, or with what keeps it from being compared.

import { BlobImage } from "./blob-image.js";
import { drawOutline } from "./detections.js";
import { part } from "./dom.js";
import { t } from "./i18n.js";
import { takePicked } from "./intake.js";
import { ProblemPanel } from "./problem-panel.js";
import { inWords } from "./problems.js";

/** @typedef {import("./comparison.js").Subject} Subject */

export class FaceSlot {
  /** Where a picture can be dropped or pasted. */
  root;
  /** @type {Subject | null} */
  #subject = null;
  /** @type {File | null} the one whose preview is shown or known to be impossible */
  #previewed = null;
  #picture;
  #image;
  #outline;
  #invitation;
  #choose;
  #bar;
  #replace;
  #searching;
  #note;
  #problem;
  #name;
  #found;

  /**
   * @param {HTMLElement} root
   * @param {object} listeners
   * @param {(files: File[]) => void} listeners.onFiles
   * @param {() => void} listeners.onRemove
   * @param {() => void} listeners.onRetry
   */
  constructor(root, { onFiles, onRemove, onRetry }) {
    this.root = root;
    this.#picture = part(root, "picture", HTMLElement);
    this.#image = new BlobImage(part(root, "image", HTMLImageElement));
    this.#outline = part(root, "outline", HTMLElement);
    this.#invitation = part(root, "invitation", HTMLElement);
    this.#choose = part(root, "choose", HTMLButtonElement);
    this.#bar = part(root, "bar", HTMLElement);
    this.#replace = part(root, "replace", HTMLButtonElement);
    this.#searching = part(root, "searching", HTMLElement);
    this.#note = part(root, "no-preview", HTMLElement);
    this.#problem = new ProblemPanel(part(root, "problem", HTMLElement), onRetry);
    this.#name = part(root, "file-name", HTMLElement);
    this.#found = part(root, "found", HTMLElement);
    takePicked(part(root, "file-input", HTMLInputElement), [this.#choose, this.#replace], onFiles);
    part(root, "remove", HTMLButtonElement).addEventListener("click", onRemove);
  }

  /** @param {boolean} isTarget whether a picture that is let go of now lands here */
  set isTarget(isTarget) {
    this.root.classList.toggle("is-target", isTarget);
  }

  /** @param {Subject | null} subject */
  render(subject) {
    const [before, focused] = [this.#subject, document.activeElement];
    this.#subject = subject;
    this.#invitation.hidden = subject !== null;
    this.#bar.hidden = subject === null;
    // What had the focus is gone: hand it on to what does the same.
    if (this.#invitation.hidden && this.#invitation.contains(focused)) this.#replace.focus();
    if (this.#bar.hidden && this.#bar.contains(focused)) this.#choose.focus();
    if (subject?.file !== before?.file) void this.#preview(subject?.file ?? null);
    this.#renderWords();
    this.#renderPicture();
  }

  /** @param {File | null} file */
  async #preview(file) {
    if ((await this.#image.show(file)) === "superseded") return;
    this.#previewed = file;
    this.#renderPicture();
  }

  #renderPicture() {
    const shows = this.#image.visible && this.#subject !== null;
    this.#picture.hidden = !shows;
    if (shows) this.#image.fit(this.#picture);
    const { file = null, detections = null, face = null } = this.#subject ?? {};
    this.#note.hidden = shows || face === null || this.#previewed !== file;
    this.#outline.replaceChildren();
    if (detections !== null && face !== null && this.#previewed === file) drawOutline(this.#outline, face, detections);
  }

  #renderWords() {
    const { file = null, detections = null, face = null, problem = null } = this.#subject ?? {};
    const count = detections?.faces.length ?? 0;
    this.#searching.hidden = file === null || detections !== null || problem !== null;
    this.#name.textContent = file?.name ?? "";
    this.#image.description = face === null ? this.#name.textContent : t("compare.alt", { name: this.#name.textContent });
    this.#found.textContent = face === null ? "" : t(count > 1 ? "compare.foundSeveral" : "compare.found", { count });
    if (problem !== null) this.#problem.show(inWords(problem));
    else if (detections !== null && count === 0) this.#problem.show(noFace());
    else this.#problem.show(null);
  }
}

/** @returns {import("./problems.js").Words} */
function noFace() {
  return { headline: t("faces.none"), detail: t("compare.noFace"), reference: "", retriable: false };
}
