// What of a picture is to be hidden: the found faces, some kept by hand, and boxes that were added for missed ones.

/** @typedef {import("./api.js").Box} Box */
/** @typedef {import("./api.js").Detections} Detections */
/** @typedef {import("./api.js").Face} Face */

/**
 * One face; only `Marks` changes it.
 * @typedef {object} Mark
 * @property {Box} box
 * @property {Face["landmarks"]} landmarks none where it was added by hand
 * @property {boolean} hidden or else kept
 * @property {boolean} added by hand
 */

const LEAST_SIDE_PX = 4;
const MIDDLE_SHARE = 0.2; // side of a box put in the middle, of the picture's shorter side
const STEP_SHARE = 0.01; // of the picture's shorter side

export class Marks {
  /** Of the upright picture, pixels. */
  width;
  height;
  /** @type {Mark[]} */
  #all;

  /**
   * @param {{ width: number, height: number }} picture
   * @param {Mark[]} all
   */
  constructor({ width, height }, all) {
    this.width = width;
    this.height = height;
    this.#all = all;
  }

  /**
   * All found faces hidden, from left to right: so the keyboard goes through them.
   * @param {Detections} detections
   */
  static of(detections) {
    const faces = [...detections.faces].sort((a, b) => a.box.x_min - b.box.x_min);
    return new Marks(
      detections,
      faces.map(({ box, landmarks }) => ({ box, landmarks, hidden: true, added: false })),
    );
  }

  /** @returns {Marks} the same, to be changed on its own */
  copy() {
    return new Marks(
      this,
      this.#all.map((mark) => ({ ...mark })),
    );
  }

  /** @returns {readonly Mark[]} */
  get all() {
    return this.#all;
  }

  /** @returns {Mark[]} */
  get hidden() {
    return this.#all.filter(({ hidden }) => hidden);
  }

  /** @returns {number} how far a key moves an edge, pixels */
  get stepPx() {
    return Math.max(1, STEP_SHARE * Math.min(this.width, this.height));
  }

  /** @returns {object} what the server takes for `faces` */
  toJSON() {
    const faces = this.hidden.map(({ box, landmarks }) => ({ box, landmarks }));
    return { width: this.width, height: this.height, faces };
  }

  /** @param {Mark} mark */
  toggle(mark) {
    mark.hidden = !mark.hidden;
  }

  /** @returns {Mark} a new one, in the middle */
  addInMiddle() {
    const half = (MIDDLE_SHARE * Math.min(this.width, this.height)) / 2;
    const [x, y] = [this.width / 2, this.height / 2];
    const box = { x_min: x - half, y_min: y - half, x_max: x + half, y_max: y + half };
    /** @type {Mark} */
    const mark = { box, landmarks: {}, hidden: true, added: true };
    this.#all.push(mark);
    return mark;
  }

  /** @param {Mark} mark an added one */
  remove(mark) {
    this.#all.splice(this.#all.indexOf(mark), 1);
  }

  /**
   * @param {Mark} mark an added one
   * @param {Box} box what of it lies within the picture is where the mark is from now on
   */
  reshape(mark, { x_min, y_min, x_max, y_max }) {
    const left = clamp(x_min, 0, this.width - LEAST_SIDE_PX);
    const top = clamp(y_min, 0, this.height - LEAST_SIDE_PX);
    mark.box = {
      x_min: left,
      y_min: top,
      x_max: clamp(x_max, left + LEAST_SIDE_PX, this.width),
      y_max: clamp(y_max, top + LEAST_SIDE_PX, this.height),
    };
  }

  /**
   * Moves an added box as far as the picture reaches.
   * @param {Mark} mark
   * @param {number} right pixels
   * @param {number} down pixels
   */
  move(mark, right, down) {
    const { x_min, y_min, x_max, y_max } = mark.box;
    const dx = clamp(right, -x_min, this.width - x_max);
    const dy = clamp(down, -y_min, this.height - y_max);
    mark.box = { x_min: x_min + dx, y_min: y_min + dy, x_max: x_max + dx, y_max: y_max + dy };
  }

  /**
   * Moves the right and the lower edge of an added box.
   * @param {Mark} mark
   * @param {number} wider pixels
   * @param {number} taller pixels
   */
  resize(mark, wider, taller) {
    const { box } = mark;
    this.reshape(mark, { ...box, x_max: box.x_max + wider, y_max: box.y_max + taller });
  }
}

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
function clamp(value, least, most) {
  return Math.min(most, Math.max(least, value));
}
