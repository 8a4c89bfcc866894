// Tries again where a busy server asks for it.

import { Problem } from "./api.js";

const MOST_TRIES = 4;
const LONGEST_WAIT_S = 10;

/**
 * Makes a call, again after a wait for as long as the server is busy: whoever awaits it slows down too.
 * @template T
 * @param {() => Promise<T>} call
 * @param {AbortSignal} signal ends the wait
 * @throws {Problem} that of the last try
 */
export async function patiently(call, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      const waitS = error instanceof Problem && error.status === 429 ? (error.retryAfterS ?? 1) : Infinity;
      if (tries === MOST_TRIES || waitS > LONGEST_WAIT_S) throw error;
      await new Promise((resolve) => {
        setTimeout(resolve, waitS * 1000);
        signal.addEventListener("abort", resolve, { once: true });
      });
    }
  }
}
