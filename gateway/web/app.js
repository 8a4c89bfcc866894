// Puts the page together: its views, its language, and what it says about the service.

import { CompareView } from "./compare-view.js";
import { part } from "./dom.js";
import { HideView } from "./hide-view.js";
import { language, onLanguageChange, setLanguage, t, translatePage } from "./i18n.js";
import { takeIn } from "./intake.js";
import { KeyPanel } from "./key-panel.js";
import { ReadinessBanner } from "./readiness.js";
import { Views } from "./views.js";

const announcer = part(document, "announcer", HTMLElement);
const languageSwitch = part(document, "language", HTMLButtonElement);

const listeners = {
  /** @param {string} sentence */
  onNews: (sentence) => {
    if (announcer.textContent !== sentence) announcer.textContent = sentence;
  },
  onUnserved: () => void banner.watch(),
};
new KeyPanel(part(document, "key-panel", HTMLElement), part(document, "key", HTMLButtonElement), resume);
const hide = new HideView(part(document, "hide-view", HTMLElement), listeners);
const compare = new CompareView(part(document, "compare-view", HTMLElement), listeners);
const views = new Views([hide, compare]);

const banner = new ReadinessBanner(part(document, "banner", HTMLElement), resume);

takeIn({
  take: (files, at) => views.current.take(files, at),
  hover: (at) => views.current.hover(at),
});
languageSwitch.addEventListener("click", () => setLanguage(language() === "en" ? "zh" : "en"));
onLanguageChange(renderLanguage);
renderLanguage();
translatePage();
void banner.watch();

function resume() {
  hide.resume();
  compare.resume();
}

function renderLanguage() {
  languageSwitch.textContent = t("language.switch");
  languageSwitch.lang = language() === "en" ? "zh-CN" : "en";
  languageSwitch.setAttribute("aria-label", t("language.label"));
}
