// Puts what became of a picture into words.

import { t } from "./i18n.js";
import { isFinished } from "./pictures.js";

/** @typedef {import("./pictures.js").Picture} Picture */

/** @param {Picture} picture */
export function stateInWords(picture) {
  if (isFinished(picture)) {
    const count = picture.result.faces;
    if (count > 0) return t("faces.hidden", { count });
    return picture.marks === null ? t("faces.none") : t("faces.noneHidden");
  }
  if (picture.state === "failed") return t("state.failed");
  return picture.state === "waiting" ? t("state.waiting") : t("state.working");
}

/**
 * @param {string} check as the server writes it: `passed; escalated=1; identity=compared 3 of 4`
 * @returns {string} empty where there was none
 */
export function checkInWords(check) {
  if (check === "") return "";
  const count = Number(/escalated=(\d+)/.exec(check)?.[1] ?? 0);
  const found = count === 0 ? t("check.nothingFound") : t("check.escalated", { count });
  return `${found} ${identityInWords(check)}`;
}

/** @param {string} check */
function identityInWords(check) {
  if (check.includes("identity=not compared")) return t("check.notCompared");
  const [, compared, count] = /identity=compared (\d+) of (\d+)/.exec(check) ?? [];
  return count === undefined ? t("check.compared") : t("check.comparedSome", { compared, count });
}
