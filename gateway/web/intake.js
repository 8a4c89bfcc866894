// Takes pictures in: dropped (folders too), pasted or picked.

import { part } from "./dom.js";

/**
 * Calls back with the files a person gives the page; with none where the gift held no file.
 * @param {(files: File[]) => void} onFiles
 */
export function takeIn(onFiles) {
  takePicked(onFiles);
  takePasted(onFiles);
  takeDropped(onFiles);
}

/** @param {(files: File[]) => void} onFiles */
function takePicked(onFiles) {
  const input = part(document, "file-input", HTMLInputElement);
  for (const button of document.querySelectorAll("[data-action='choose']")) {
    button.addEventListener("click", () => input.click());
  }
  input.addEventListener("change", () => {
    onFiles([...(input.files ?? [])]);
    input.value = ""; // so that picking the same file again is a change
  });
}

/** @param {(files: File[]) => void} onFiles */
function takePasted(onFiles) {
  document.addEventListener("paste", (event) => {
    event.preventDefault();
    onFiles([...(event.clipboardData?.files ?? [])]);
  });
}

/** @param {(files: File[]) => void} onFiles */
function takeDropped(onFiles) {
  const veil = part(document, "drop-veil", HTMLElement);
  // dragenter and dragleave fire for every element passed over: the drag has left when as many left as were entered.
  let depth = 0;
  /** @param {number} now */
  const setDepth = (now) => {
    depth = now;
    veil.hidden = depth === 0;
  };
  /** @param {DragEvent} event */
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;

  window.addEventListener("dragenter", (event) => {
    if (carriesFiles(event)) setDepth(depth + 1);
  });
  window.addEventListener("dragleave", (event) => {
    if (carriesFiles(event)) setDepth(Math.max(0, depth - 1));
  });
  window.addEventListener("dragover", (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  window.addEventListener("drop", async (event) => {
    if (!carriesFiles(event) || event.dataTransfer === null) return;
    event.preventDefault();
    setDepth(0);
    onFiles(await filesOf(event.dataTransfer));
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
