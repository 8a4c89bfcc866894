// Takes pictures in: dropped (folders too), pasted or picked.

import { isField, takesText } from "./fields.js";

/**
 * Where files that are given to the page go.
 * @typedef {object} Receiver
 * @property {(files: File[], at: Element | null) => void} take files dropped or pasted at an element, null = nowhere in
 *   particular; none where the gift held no file
 * @property {(at: Element | null) => void} hover files are held above an element; null = no longer
 */

/**
 * Hands files over that are dropped anywhere on the page, or pasted.
 * @param {Receiver} receiver
 */
export function takeIn(receiver) {
  takePasted(receiver);
  takeDropped(receiver);
}

/**
 * Calls back with the files picked in the dialog that a button opens.
 * @param {HTMLInputElement} input of type file, hidden
 * @param {Iterable<Element>} buttons
 * @param {(files: File[]) => void} onFiles
 */
export function takePicked(input, buttons, onFiles) {
  for (const button of buttons) button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    onFiles([...(input.files ?? [])]);
    input.value = ""; // so that picking the same file again is a change
  });
}

/** @param {Receiver} receiver */
function takePasted(receiver) {
  document.addEventListener("paste", (event) => {
    const at = event.target instanceof Element ? event.target : document.activeElement;
    if (takesText(at)) return; // it is the field's: an API key, for instance
    const files = [...(event.clipboardData?.files ?? [])];
    if (isField(at)) {
      if (files.length > 0) receiver.take(files, at); // nothing can be pasted into a slider or a switch
      return;
    }
    event.preventDefault();
    receiver.take(files, document.activeElement);
  });
}

/** @param {Receiver} receiver */
function takeDropped(receiver) {
  // dragenter and dragleave fire for every element passed over: the drag has left when as many left as were entered.
  let depth = 0;
  /** @param {DragEvent} event */
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;
  /** @param {DragEvent} event */
  const elementOf = (event) => (event.target instanceof Element ? event.target : document.body);

  window.addEventListener("dragenter", (event) => {
    if (!carriesFiles(event)) return;
    depth += 1;
    receiver.hover(elementOf(event));
  });
  window.addEventListener("dragleave", (event) => {
    if (!carriesFiles(event)) return;
    depth = Math.max(0, depth - 1);
    if (depth === 0) receiver.hover(null);
  });
  window.addEventListener("dragover", (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  window.addEventListener("drop", async (event) => {
    if (!carriesFiles(event) || event.dataTransfer === null) return;
    event.preventDefault();
    depth = 0;
    receiver.hover(null);
    receiver.take(await filesOf(event.dataTransfer), elementOf(event));
  });
}

/**
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>} the files themselves, and the pictures within folders
 */
async function filesOf(transfer) {
  // Both lists are empty after the first await: read them now.
  const files = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) return files;
  const nested = await Promise.all(entries.map((entry) => (entry === null ? [] : filesBelow(entry))));
  return nested.flat();
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<File[]>}
 */
async function filesBelow(entry) {
  if (entry.isFile) {
    const fileEntry = /** @type {FileSystemFileEntry} */ (entry);
    return [await new Promise((resolve, reject) => fileEntry.file(resolve, reject))];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {File[]} */
  const found = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    for (const below of some) {
      // A folder holds more than pictures; what the browser does not know to be one is left out.
      found.push(...(await filesBelow(below)).filter((file) => file.type.startsWith("image/")));
    }
  }
}
