// Shows a file in an <img>, and gives its memory back when it shows another.

export class BlobImage {
  #image;
  /** @type {Blob | null} the one asked for last, which may still be loading */
  #wanted = null;

  /** @param {HTMLImageElement} image */
  constructor(image) {
    this.#image = image;
    this.#image.hidden = true;
  }

  /** @returns {boolean} whether there is something to see */
  get visible() {
    return !this.#image.hidden;
  }

  /**
   * Gives a frame of class `fitted` the picture's proportions.
   * @param {HTMLElement} frame
   */
  fit(frame) {
    fitTo(frame, this.#image.naturalWidth, this.#image.naturalHeight);
  }

  /** @param {string} text for those who cannot see it */
  set description(text) {
    this.#image.alt = text;
  }

  /**
   * Shows a file once it is decoded; what was shown before stays until then.
   * @param {Blob | null} blob null = show nothing
   * @returns {Promise<"shown" | "undecodable" | "superseded">}
   */
  async show(blob) {
    this.#wanted = blob;
    if (blob === null) {
      this.#replace(null);
      return "shown";
    }
    const url = URL.createObjectURL(blob);
    const decoded = await decodes(url);
    if (this.#wanted !== blob) {
      URL.revokeObjectURL(url);
      return "superseded";
    }
    this.#replace(decoded ? url : null);
    if (decoded) return "shown";
    URL.revokeObjectURL(url);
    return "undecodable";
  }

  /** @param {string | null} url */
  #replace(url) {
    const previous = this.#image.src;
    if (url === null) this.#image.removeAttribute("src");
    else this.#image.src = url;
    this.#image.hidden = url === null;
    if (previous.startsWith("blob:")) URL.revokeObjectURL(previous);
  }
}

/**
 * Gives a frame of class `fitted` the proportions of a picture.
 * @param {HTMLElement} frame
 * @param {number} width pixels
 * @param {number} height pixels
 */
export function fitTo(frame, width, height) {
  frame.style.setProperty("--ratio", String(width / height));
  frame.style.setProperty("--natural-width", `${width}px`);
}

/** @param {string} url */
async function decodes(url) {
  const probe = new Image();
  probe.src = url;
  try {
    await probe.decode();
    return true;
  } catch {
    return false;
  }
}
