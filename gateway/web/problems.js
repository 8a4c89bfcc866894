// Puts what went wrong into words.

import { isMessageKey, t } from "./i18n.js";

/** @typedef {import("./api.js").Problem} Problem */

/**
 * @typedef {object} Words
 * @property {string} headline
 * @property {string} detail may be empty
 * @property {string} reference what to look for in the log; may be empty
 * @property {boolean} retriable whether trying again may help
 */

/**
 * @param {Problem} problem
 * @returns {Words}
 */
export function inWords(problem) {
  const key = `problem.${problem.status}`;
  const headline = isMessageKey(key) ? t(key) : problem.title || t("problem.other");
  return { headline, detail: detailOf(problem), reference: referenceOf(problem), retriable: true };
}

/**
 * @param {Problem | null} problem
 * @returns {boolean} whether the call failed for want of a ready service
 */
export function isUnserved(problem) {
  return problem !== null && (problem.status === 503 || problem.status === 0);
}

/**
 * @param {Problem | null} problem
 * @returns {boolean} whether the call may succeed now that the service is ready, or has been shown another key
 */
export function isCurable(problem) {
  return isUnserved(problem) || problem?.status === 401 || problem?.status === 403;
}

/** @param {Problem} problem */
function detailOf(problem) {
  if (problem.incomplete) return t("problem.incomplete");
  if (problem.status === 0) return problem.detail || t("problem.0.detail");
  if (problem.status === 401) return t("problem.401.detail");
  if (problem.status === 403) return t("problem.403.detail");
  if (problem.status === 422) return t("problem.422.detail"); // the server's speaks of parameters
  return problem.detail || problem.title;
}

/** @param {Problem} problem */
function referenceOf({ status, requestId }) {
  if (status === 0) return "";
  return requestId === "" ? t("problem.referenceStatus", { status }) : t("problem.reference", { status, request: requestId });
}
