// Talks to the gateway: one function a call, and one error type for everything that can go wrong.

import { credential, refused } from "./credential.js";

/** @typedef {"mosaic" | "blur" | "solid"} Style */
/** @typedef {"ellipse" | "box"} Shape */
/** @typedef {"fast" | "balanced" | "max"} Recall */

/**
 * How to find and hide faces.
 * @typedef {object} Options
 * @property {Style} style
 * @property {number} strength 0 to 1
 * @property {number} margin share of the box's width and height, 0 to 2
 * @property {Shape} shape
 * @property {Recall} recall
 * @property {string} model detection model; empty = the server's default
 * @property {boolean} boxes outline each hidden face
 * @property {boolean} verify search and compare the result, and hide more strongly what still shows
 */

/**
 * A picture whose faces are hidden.
 * @typedef {object} Hidden
 * @property {Blob} content the file, its type set to the answer's media type
 * @property {number} faces how many were hidden
 * @property {string} model who found them; empty where they were given
 * @property {string} check the outcome of the check, as the server writes it; empty where there was none
 * @property {string} notice what the server wants known of this answer; empty where there is nothing to say
 */

/** @typedef {{ x_min: number, y_min: number, x_max: number, y_max: number }} Box pixels of the upright picture */

/**
 * @typedef {object} Face
 * @property {Box} box
 * @property {number} confidence 0 to 1
 * @property {Record<string, [number, number]>} landmarks pixels
 */

/** @typedef {{ width: number, height: number, model: string, faces: Face[] }} Detections */

/**
 * How alike the largest faces of two pictures are.
 * @typedef {object} Likeness
 * @property {number} similarity cosine, -1 to 1
 * @property {number} threshold from which on the model counts two faces as one person
 * @property {string} model who compared
 * @property {[Face, Face]} faces the one compared in each picture
 */

/**
 * @typedef {object} Model
 * @property {string} name
 * @property {string} tier
 * @property {boolean} serving
 * @property {boolean} is_default
 * @property {string} detail why it is not served
 */

/** @typedef {{ status: string, detail?: string }} TierState */
/** @typedef {{ ready: boolean, tiers: Record<string, TierState> }} Readiness */

// This file is served one folder below the gateway's root, wherever a proxy may have mounted that.
const ROOT = new URL("../", import.meta.url);

/** What went wrong, in the fields of RFC 9457. */
export class Problem extends Error {
  /**
   * @param {object} fields
   * @param {number} fields.status HTTP status; 0 = there was no answer
   * @param {string} [fields.title]
   * @param {string} [fields.detail]
   * @param {string} [fields.requestId]
   * @param {number | null} [fields.retryAfterS] when the server asks to be tried again, seconds
   * @param {boolean} [fields.incomplete] the server answered a picture without saying what it did to it
   */
  constructor({ status, title = "", detail = "", requestId = "", retryAfterS = null, incomplete = false }) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.requestId = requestId;
    this.retryAfterS = retryAfterS;
    this.incomplete = incomplete;
  }

  /**
   * @param {unknown} error whatever a call threw
   * @returns {Problem}
   */
  static of(error) {
    return error instanceof Problem ? error : new Problem({ status: 0, detail: String(error) });
  }
}

/**
 * Hides every face of a picture, or those given.
 * @param {{ file: File, marks: import("./marks.js").Marks | null }} picture its marks are what is hidden; null = all faces
 * @param {Options} options
 * @param {AbortSignal} signal
 * @returns {Promise<Hidden>}
 * @throws {Problem}
 */
export async function anonymize({ file, marks }, options, signal) {
  const { model, ...rest } = options;
  const query = { ...rest, ...named(model) };
  const response = await (marks === null
    ? sendFile("v1/anonymize", query, file, signal)
    : send("v1/anonymize", query, { body: formOf({ image: file, faces: documentOf(marks) }), signal }));
  const faces = Number.parseInt(response.headers.get("X-Facet-Faces") ?? "", 10);
  // An answer that does not count its faces may come from something else on the way: never pass it off as done.
  if (!Number.isInteger(faces)) throw new Problem({ status: response.status, incomplete: true });
  return {
    content: await bodyOf(response.blob()),
    faces,
    model: response.headers.get("X-Facet-Model") ?? "",
    check: response.headers.get("X-Facet-Check") ?? "",
    notice: response.headers.get("X-Facet-Notice") ?? "",
  };
}

/**
 * Finds the faces of a picture.
 * @param {File} file
 * @param {Pick<Options, "recall" | "model">} options
 * @param {AbortSignal} signal
 * @returns {Promise<Detections>}
 * @throws {Problem}
 */
export async function detect(file, { recall, model }, signal) {
  const response = await sendFile("v1/detect", { recall, ...named(model) }, file, signal);
  return bodyOf(response.json());
}

/**
 * Compares the largest faces of two pictures.
 * @param {[File, File]} files
 * @param {Pick<Options, "recall" | "model">} options
 * @param {AbortSignal} signal
 * @returns {Promise<Likeness>}
 * @throws {Problem}
 */
export async function compare([a, b], { recall, model }, signal) {
  const body = formOf({ image_a: a, image_b: b });
  const response = await send("v1/compare", { recall, ...named(model) }, { body, signal });
  return bodyOf(response.json());
}

/**
 * Asks which models the server knows.
 * @returns {Promise<Model[]>} empty where the server cannot tell
 */
export async function listModels() {
  const response = await reach("v1/models");
  return response.ok ? (await bodyOf(response.json())).models : [];
}

/**
 * Asks whether the server takes the key it is shown.
 * @throws {Problem} it does not, or cannot tell
 */
export async function checkKey() {
  const response = await reach("v1/models");
  // Whoever gets as far as tiers that are not ready, or is only asked to wait, was let in.
  if (!response.ok && response.status !== 503 && response.status !== 429) throw await problemOf(response);
}

/**
 * Asks whether pictures can be treated.
 * @returns {Promise<Readiness>}
 * @throws {Problem} nobody answered, or not in a way that tells
 */
export async function readiness() {
  const response = await reach("readyz");
  const { status, tiers } = await bodyOf(response.json());
  return { ready: response.ok && status === "ready", tiers: tiers ?? {} };
}

/**
 * @param {string} model
 * @returns {Record<string, string>} the query's part that names it, if it is named
 */
function named(model) {
  return model === "" ? {} : { model };
}

/** @param {Record<string, Blob>} files by the names of their fields */
function formOf(files) {
  const form = new FormData();
  for (const [field, file] of Object.entries(files)) form.append(field, file);
  return form;
}

/** @param {object} content */
function documentOf(content) {
  return new Blob([JSON.stringify(content)], { type: "application/json" });
}

/**
 * @param {string} path
 * @param {Record<string, string | number | boolean>} query
 * @param {File} file
 * @param {AbortSignal} signal
 */
async function sendFile(path, query, file, signal) {
  return send(path, query, { body: file, headers: { "Content-Type": file.type || "application/octet-stream" }, signal });
}

/**
 * @param {string} path
 * @param {Record<string, string | number | boolean>} query
 * @param {RequestInit} init
 */
async function send(path, query, init) {
  const parameters = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
  const response = await reach(`${path}?${parameters}`, { method: "POST", ...init });
  if (!response.ok) throw await problemOf(response);
  return response;
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 */
async function reach(path, init = {}) {
  const shown = credential();
  const headers = new Headers(init.headers);
  if (shown !== "") headers.set("Authorization", `Bearer ${shown}`);
  const response = await bodyOf(fetch(new URL(path, ROOT), { cache: "no-store", ...init, headers }));
  if (response.status === 401) refused(shown);
  return response;
}

/**
 * Awaits a step of the network, and names its failure.
 * @template T
 * @param {Promise<T>} step
 */
async function bodyOf(step) {
  try {
    return await step;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem({ status: 0 });
  }
}

/**
 * @param {Response} response
 * @returns {Promise<Problem>}
 */
async function problemOf(response) {
  const fields = await response.json().catch(() => ({})); // a proxy on the way may answer in HTML
  const retryAfterS = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  return new Problem({
    status: response.status,
    title: fields.title ?? response.statusText,
    detail: fields.detail,
    requestId: fields.request_id ?? response.headers.get("X-Request-Id") ?? "",
    retryAfterS: Number.isFinite(retryAfterS) ? retryAfterS : null,
  });
}
