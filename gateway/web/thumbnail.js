// Draws a small view of a picture, so that a long list holds no large ones in memory.

/**
 * Fills a canvas with the middle of a picture.
 * @param {HTMLCanvasElement} canvas
 * @param {Blob} blob
 * @returns {Promise<boolean>} whether the browser can show it
 */
export async function drawThumbnail(canvas, blob) {
  /** @type {ImageBitmap} */
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { resizeWidth: canvas.width * 2, resizeQuality: "medium" });
  } catch {
    return false;
  }
  const scale = Math.max(canvas.width / bitmap.width, canvas.height / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  const left = (canvas.width - width) / 2;
  const top = (canvas.height - height) / 2;
  canvas.getContext("2d")?.drawImage(bitmap, left, top, width, height);
  bitmap.close();
  return true;
}
