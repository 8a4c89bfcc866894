// The key that the server is shown, where it asks for one: kept for this tab alone, until it is closed.

const STORAGE_KEY = "facet.key";

/** @type {Set<() => void>} */
const listeners = new Set();
let current = remembered();

function remembered() {
  try {
    return sessionStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    return ""; // storage is forbidden: nothing can have been remembered
  }
}

/** @returns {string} empty where there is none */
export function credential() {
  return current;
}

/** @param {string} chosen empty = forget it */
export function setCredential(chosen) {
  current = chosen;
  try {
    if (chosen === "") sessionStorage.removeItem(STORAGE_KEY);
    else sessionStorage.setItem(STORAGE_KEY, chosen);
  } catch {
    // storage is forbidden: it lasts until the page is left
  }
}

/**
 * Tells that the server wanted another key than it was shown.
 * @param {string} shown what it was shown; an answer that comes late may be about a key that is no longer in use
 */
export function refused(shown) {
  if (shown === current) for (const listener of listeners) listener();
}

/** @param {() => void} listener called whenever the server wants a key, or another one */
export function onRefused(listener) {
  listeners.add(listener);
}
