// Draws what the detector saw over a picture: boxes, and where asked for, landmarks and confidences.

import { make } from "./dom.js";

/** @typedef {import("./api.js").Box} Box */
/** @typedef {import("./api.js").Detections} Detections */
/** @typedef {import("./api.js").Face} Face */

/**
 * Replaces the drawing by every face with its landmarks and its confidence.
 * @param {HTMLElement} layer covers the picture exactly
 * @param {Detections | null} detections null = draw nothing
 */
export function drawDetections(layer, detections) {
  layer.replaceChildren();
  if (detections === null) return;
  for (const { box, confidence, landmarks } of detections.faces) {
    const outline = outlineOf(box, detections);
    outline.append(make("span", "detection-confidence", `${Math.round(confidence * 100)} %`));
    layer.append(outline);
    for (const [x, y] of Object.values(landmarks)) {
      const dot = make("i", "detection-landmark");
      dot.style.left = percent(x, detections.width);
      dot.style.top = percent(y, detections.height);
      layer.append(dot);
    }
  }
}

/**
 * Replaces the drawing by the outline of one face.
 * @param {HTMLElement} layer covers the picture exactly
 * @param {Face} face
 * @param {{ width: number, height: number }} picture its size, pixels
 */
export function drawOutline(layer, { box }, picture) {
  layer.replaceChildren(outlineOf(box, picture));
}

/**
 * Puts an element where a box lies; their common parent covers the picture exactly.
 * @param {HTMLElement} element positioned absolutely
 * @param {Box} box
 * @param {{ width: number, height: number }} picture its size, pixels
 */
export function place(element, box, { width, height }) {
  element.style.left = percent(box.x_min, width);
  element.style.top = percent(box.y_min, height);
  element.style.width = percent(box.x_max - box.x_min, width);
  element.style.height = percent(box.y_max - box.y_min, height);
}

/**
 * @param {Box} box
 * @param {{ width: number, height: number }} picture
 */
function outlineOf(box, picture) {
  const outline = make("div", "detection");
  place(outline, box, picture);
  return outline;
}

/**
 * @param {number} part
 * @param {number} whole
 * @returns {string} in CSS
 */
export function percent(part, whole) {
  return `${(part / whole) * 100}%`;
}
