// Runs tasks in order, a few at a time.

/** @typedef {{ task: () => Promise<void>, signal: AbortSignal }} Entry */

export class Queue {
  /** @type {Entry[]} */
  #waiting = [];
  #running = 0;
  #limit;

  /** @param {number} limit most tasks at once */
  constructor(limit) {
    this.#limit = limit;
  }

  /**
   * Runs a task when its turn comes, or never if the signal is aborted before.
   * @param {() => Promise<void>} task must not reject
   * @param {AbortSignal} signal
   */
  add(task, signal) {
    this.#waiting.push({ task, signal });
    this.#fill();
  }

  #fill() {
    while (this.#running < this.#limit) {
      const entry = this.#waiting.shift();
      if (entry === undefined) return;
      if (entry.signal.aborted) continue;
      this.#running += 1;
      void entry.task().finally(() => {
        this.#running -= 1;
        this.#fill();
      });
    }
  }
}
