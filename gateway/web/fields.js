// What belongs to whoever types: keys and pastes while a field has the focus, and the browser's own shortcuts.

const WITHOUT_TEXT = new Set(["button", "checkbox", "color", "file", "image", "radio", "range", "reset", "submit"]);

/**
 * Whether an element, or what it lies in, is one that a user fills in.
 * @param {Element | null} element
 */
export function isField(element) {
  return takesText(element) || element?.closest("input, select") != null;
}

/**
 * Whether what is typed or pasted becomes its text.
 * @param {Element | null} element
 */
export function takesText(element) {
  if (element instanceof HTMLInputElement) return !WITHOUT_TEXT.has(element.type);
  return element instanceof HTMLTextAreaElement || (element instanceof HTMLElement && element.isContentEditable);
}

/**
 * Whether a key goes with one that makes a shortcut of the browser's: Alt and an arrow leads to the page before.
 * @param {KeyboardEvent} event
 */
export function isShortcut(event) {
  return event.altKey || event.ctrlKey || event.metaKey;
}
