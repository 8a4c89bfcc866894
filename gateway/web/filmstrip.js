// Lists the loaded pictures as small cards, each with its state, and lets one be selected.

import { icon, make } from "./dom.js";
import { isShortcut } from "./fields.js";
import { stateInWords } from "./outcome.js";
import { inWords } from "./problems.js";
import { Queue } from "./queue.js";
import { drawThumbnail } from "./thumbnail.js";

/** @typedef {import("./pictures.js").Picture} Picture */

/**
 * @typedef {object} Card
 * @property {HTMLLIElement} item
 * @property {HTMLCanvasElement} canvas
 * @property {HTMLElement} stateText
 * @property {Blob | null} drawn what the canvas shows or is about to
 * @property {AbortController} abort of the drawing that waits
 */

const THUMBNAIL_PX = { width: 208, height: 156 };
const DRAWN_AT_ONCE = 1;

export class Filmstrip {
  #list;
  #onOpen;
  #onSelect;
  #onRemove;
  /** @type {Map<Picture, Card>} */
  #cards = new Map();
  #drawings = new Queue(DRAWN_AT_ONCE);
  /** @type {Picture | null} */
  #selected = null;

  /**
   * @param {HTMLUListElement} list
   * @param {object} listeners
   * @param {(picture: Picture) => void} listeners.onOpen it was clicked or tapped
   * @param {(picture: Picture) => void} listeners.onSelect the keyboard moved to it
   * @param {(picture: Picture) => void} listeners.onRemove
   */
  constructor(list, { onOpen, onSelect, onRemove }) {
    this.#list = list;
    this.#onOpen = onOpen;
    this.#onSelect = onSelect;
    this.#onRemove = onRemove;
    list.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * @param {Picture[]} pictures
   * @param {Picture | null} selected
   */
  render(pictures, selected) {
    this.#selected = selected;
    this.#list.hidden = pictures.length < 2;
    const kept = new Set(pictures);
    for (const [picture, card] of this.#cards) {
      if (kept.has(picture)) continue;
      card.abort.abort();
      card.item.remove();
      this.#cards.delete(picture);
    }
    for (const picture of pictures) {
      const card = this.#cards.get(picture) ?? this.#append(picture);
      this.#renderCard(picture, card);
      this.#draw(picture, card);
    }
  }

  /** @param {Picture} picture */
  #append(picture) {
    const canvas = make("canvas", "card-thumbnail");
    Object.assign(canvas, THUMBNAIL_PX);
    canvas.hidden = true;
    const stateText = make("span", "card-state");
    const name = make("span", "card-name", picture.file.name);
    const item = make("li", "card", make("div", "card-picture", icon("image"), canvas), name, " ", stateText);
    item.setAttribute("role", "option");
    item.addEventListener("click", () => this.#onOpen(picture));
    this.#list.append(item);
    /** @type {Card} */
    const card = { item, canvas, stateText, drawn: null, abort: new AbortController() };
    this.#cards.set(picture, card);
    return card;
  }

  /**
   * @param {Picture} picture
   * @param {Card} card
   */
  #renderCard(picture, { item, stateText }) {
    const state = picture.problem === null ? stateInWords(picture) : inWords(picture.problem).headline;
    const selected = picture === this.#selected;
    item.dataset.state = picture.state === "done" && picture.result?.faces === 0 ? "empty" : picture.state;
    item.setAttribute("aria-selected", String(selected));
    item.tabIndex = selected ? 0 : -1;
    if (stateText.textContent !== state) stateText.textContent = state;
  }

  /**
   * @param {Picture} picture
   * @param {Card} card
   */
  #draw(picture, card) {
    const wanted = picture.result?.content ?? picture.file;
    if (card.drawn === wanted) return;
    card.drawn = wanted;
    card.abort.abort();
    card.abort = new AbortController();
    this.#drawings.add(async () => {
      if (await drawThumbnail(card.canvas, wanted)) card.canvas.hidden = false;
    }, card.abort.signal);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const pictures = [...this.#cards.keys()];
    const index = this.#selected === null ? -1 : pictures.indexOf(this.#selected);
    if (index < 0 || isShortcut(event)) return;
    if (event.key === "Delete") {
      event.preventDefault();
      this.#onRemove(pictures[index]);
      this.#focusSelected();
      return;
    }
    const last = pictures.length - 1;
    /** @type {Record<string, number>} */
    const targets = { ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowUp: index - 1, Home: 0, End: last };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    this.#onSelect(pictures[Math.min(last, Math.max(0, target))]);
    this.#focusSelected();
  }

  #focusSelected() {
    if (this.#selected !== null) this.#cards.get(this.#selected)?.item.focus();
  }
}
