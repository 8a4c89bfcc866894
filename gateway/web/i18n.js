// Speaks the reader's language: picks it, remembers it, and translates sentences and marked-up elements.

import { en, zh } from "./messages.js";

/** @typedef {"en" | "zh"} Language */
/** @typedef {keyof typeof en} MessageKey */

const STORAGE_KEY = "facet.language";

/** @type {Record<Language, { tag: string, messages: Record<MessageKey, import("./messages.js").Message> }>} */
const CATALOGUES = { en: { tag: "en", messages: en }, zh: { tag: "zh-CN", messages: zh } };

/** @type {Set<() => void>} */
const listeners = new Set();

/** @type {Language} */
let current = remembered() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

/** @returns {Language | null} the language chosen on an earlier visit */
function remembered() {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    return stored === "en" || stored === "zh" ? stored : null;
  } catch {
    return null; // storage is forbidden: nothing can have been remembered
  }
}

/** @returns {Language} the language the page speaks now */
export function language() {
  return current;
}

/**
 * Changes the language, remembers it, and tells whoever asked to know.
 * @param {Language} chosen
 */
export function setLanguage(chosen) {
  current = chosen;
  try {
    localStorage.setItem(STORAGE_KEY, chosen);
  } catch {
    // storage is forbidden: the choice lasts for this visit
  }
  translatePage();
  for (const listener of listeners) listener();
}

/** @param {() => void} listener called after each change of language */
export function onLanguageChange(listener) {
  listeners.add(listener);
}

/**
 * @param {string} text
 * @returns {text is MessageKey} whether there is a message of this name
 */
export function isMessageKey(text) {
  return Object.hasOwn(en, text);
}

/**
 * Says a sentence in the current language.
 * @param {MessageKey} key
 * @param {Record<string, string | number>} [values] for its placeholders; `count` also picks the plural form
 */
export function t(key, values = {}) {
  const { tag, messages } = CATALOGUES[current];
  const message = messages[key];
  const one = typeof message === "object" && new Intl.PluralRules(tag).select(Number(values.count)) === "one";
  const sentence = typeof message === "string" ? message : ((one && message.one) || message.other);
  return sentence.replace(/\{(\w+)\}/g, (placeholder, name) => String(values[name] ?? placeholder));
}

/** Translates the document's elements: `data-i18n` names an element's text, `data-i18n-label` its accessible name. */
export function translatePage() {
  document.documentElement.lang = CATALOGUES[current].tag;
  for (const element of document.querySelectorAll("[data-i18n]")) {
    element.textContent = t(keyOf(element, "data-i18n"));
  }
  for (const element of document.querySelectorAll("[data-i18n-label]")) {
    const label = t(keyOf(element, "data-i18n-label"));
    element.setAttribute("aria-label", label);
    if (element instanceof HTMLButtonElement) element.title = label;
  }
}

/**
 * @param {Element} element
 * @param {string} attribute
 */
function keyOf(element, attribute) {
  const key = element.getAttribute(attribute) ?? "";
  if (!isMessageKey(key)) throw new Error(`${attribute} names no message: ${key}`);
  return key;
}
