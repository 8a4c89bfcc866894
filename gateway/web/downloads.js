// Names results and hands files to the browser's downloads.

import { zip } from "./zip.js";

/** @typedef {import("./api.js").Hidden} Hidden */

/** @type {Record<string, string>} */
const EXTENSIONS = {
  "image/jpeg": ".jpg",
  "image/png": ".png",
  "image/webp": ".webp",
  "image/bmp": ".bmp",
  "image/tiff": ".tiff",
  "image/gif": ".gif",
  "image/avif": ".avif",
  "image/heic": ".heic",
};

const REVOKE_AFTER_MS = 10_000; // the download must have been taken over by then

/**
 * @param {string} name the original's
 * @param {string} mediaType the result's
 */
export function outputName(name, mediaType) {
  const dot = name.lastIndexOf(".");
  const [stem, original] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  return `${stem}-anonymized${EXTENSIONS[mediaType] ?? original}`;
}

/**
 * Makes names differ where they are equal, also for file systems that take no notice of case.
 * @param {string[]} names
 */
export function uniqueNames(names) {
  const taken = new Set();
  return names.map((name) => {
    const dot = name.lastIndexOf(".");
    const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
    let unique = name;
    for (let copy = 2; taken.has(unique.toLowerCase()); copy += 1) unique = `${stem} (${copy})${extension}`;
    taken.add(unique.toLowerCase());
    return unique;
  });
}

/** @param {{ file: File, result: Hidden }} picture */
export function download({ file, result }) {
  save(result.content, outputName(file.name, result.content.type));
}

/**
 * @param {{ file: File, result: Hidden }[]} pictures
 * @throws {RangeError} too many or too large for one zip
 */
export async function downloadAll(pictures) {
  const names = uniqueNames(pictures.map(({ file, result }) => outputName(file.name, result.content.type)));
  const entries = pictures.map(({ result }, index) => ({ name: names[index], content: result.content }));
  save(await zip(entries), "facet-anonymized.zip");
}

/**
 * @param {Blob} content
 * @param {string} name
 */
function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), REVOKE_AFTER_MS);
}
