// Draws what the detector saw over a picture: boxes, landmarks and confidences.

import { make } from "./dom.js";

/** @typedef {import("./api.js").Detections} Detections */

/**
 * Replaces the drawing.
 * @param {HTMLElement} layer covers the picture exactly
 * @param {Detections | null} detections null = draw nothing
 */
export function drawDetections(layer, detections) {
  layer.replaceChildren();
  if (detections === null) return;
  const { width, height, faces } = detections;
  /** @param {number} part @param {number} whole */
  const percent = (part, whole) => `${(part / whole) * 100}%`;
  for (const { box, confidence, landmarks } of faces) {
    const outline = make("div", "detection", make("span", "detection-confidence", `${Math.round(confidence * 100)} %`));
    outline.style.left = percent(box.x_min, width);
    outline.style.top = percent(box.y_min, height);
    outline.style.width = percent(box.x_max - box.x_min, width);
    outline.style.height = percent(box.y_max - box.y_min, height);
    layer.append(outline);
    for (const [x, y] of Object.values(landmarks)) {
      const dot = make("i", "detection-landmark");
      dot.style.left = percent(x, width);
      dot.style.top = percent(y, height);
      layer.append(dot);
    }
  }
}
