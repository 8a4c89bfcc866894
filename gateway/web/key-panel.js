// Asks for a key where the server wants one, and lets it be changed or forgotten.

import { Problem, checkKey } from "./api.js";
import { credential, onRefused, setCredential } from "./credential.js";
import { part } from "./dom.js";
import { onLanguageChange, t } from "./i18n.js";
import { inWords } from "./problems.js";

/** @typedef {import("./i18n.js").MessageKey} MessageKey */

const SENDABLE = /^[\x21-\x7e]+$/; // what an HTTP header can carry

export class KeyPanel {
  #root;
  #opener;
  #input;
  #forget;
  #trouble;
  #onAccepted;
  /** @type {() => string} said anew when the language changes; empty = nothing is wrong */
  #why = () => "";

  /**
   * @param {HTMLElement} root
   * @param {HTMLButtonElement} opener shown once the server has asked for a key
   * @param {() => void} onAccepted called once the server takes the key
   */
  constructor(root, opener, onAccepted) {
    this.#root = root;
    this.#opener = opener;
    this.#input = part(root, "key-input", HTMLInputElement);
    this.#forget = part(root, "key-forget", HTMLButtonElement);
    this.#trouble = part(root, "key-trouble", HTMLElement);
    this.#onAccepted = onAccepted;
    opener.hidden = credential() === "";
    opener.addEventListener("click", () => (root.hidden ? this.#open() : this.#close()));
    part(root, "key-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#use(this.#input.value.trim().replace(/^bearer\s+/i, ""));
    });
    this.#forget.addEventListener("click", () => {
      setCredential("");
      this.#ask("");
      this.#input.focus();
    });
    onRefused(() => {
      const why = credential() === "" ? "" : "key.refused";
      setCredential("");
      this.#ask(why);
    });
    onLanguageChange(() => this.#render());
  }

  /** @param {string} key */
  async #use(key) {
    if (!SENDABLE.test(key)) {
      this.#ask("key.refused");
      return;
    }
    setCredential(key);
    try {
      await checkKey();
    } catch (error) {
      const problem = Problem.of(error);
      if (problem.status !== 401) this.#tell(() => inWords(problem).headline); // that one was heard of already
      return;
    }
    this.#close();
    this.#onAccepted();
  }

  /** @param {MessageKey | ""} why */
  #ask(why) {
    this.#tell(() => (why === "" ? "" : t(why)));
    this.#opener.hidden = false;
    if (this.#root.hidden) this.#open();
  }

  #open() {
    this.#root.hidden = false;
    this.#render();
    this.#input.focus();
  }

  #close() {
    this.#root.hidden = true;
    this.#input.value = "";
    this.#tell(() => "");
  }

  /** @param {() => string} why */
  #tell(why) {
    this.#why = why;
    this.#render();
  }

  #render() {
    this.#opener.setAttribute("aria-expanded", String(!this.#root.hidden));
    this.#forget.hidden = credential() === "";
    this.#trouble.textContent = this.#why();
    this.#trouble.hidden = this.#trouble.textContent === "";
  }
}
