// Puts what went wrong into words.

import { isMessageKey, t } from "./i18n.js";

/** @typedef {import("./api.js").Problem} Problem */

/**
 * @param {Problem} problem
 * @returns {{ headline: string, detail: string, reference: string }} the last two may be empty
 */
export function inWords(problem) {
  const key = `problem.${problem.status}`;
  const headline = isMessageKey(key) ? t(key) : problem.title || t("problem.other");
  return { headline, detail: detailOf(problem), reference: referenceOf(problem) };
}

/** @param {Problem} problem */
function detailOf(problem) {
  if (problem.incomplete) return t("problem.incomplete");
  if (problem.status === 0) return problem.detail || t("problem.0.detail");
  return problem.detail || problem.title;
}

/** @param {Problem} problem */
function referenceOf({ status, requestId }) {
  if (status === 0) return "";
  return requestId === "" ? t("problem.referenceStatus", { status }) : t("problem.reference", { status, request: requestId });
}
