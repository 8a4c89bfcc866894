// Puts the page together: what comes in becomes pictures, and what changes is shown.

import { listModels } from "./api.js";
import { part } from "./dom.js";
import { download, downloadAll } from "./downloads.js";
import { Filmstrip } from "./filmstrip.js";
import { language, onLanguageChange, setLanguage, t, translatePage } from "./i18n.js";
import { takeIn } from "./intake.js";
import { Pictures } from "./pictures.js";
import { ReadinessBanner } from "./readiness.js";
import { Settings } from "./settings.js";
import { Stage } from "./stage.js";
import { Toolbar } from "./toolbar.js";

/** @typedef {import("./pictures.js").Picture} Picture */

translatePage();

/** @type {Picture | null} */
let selected = null;

const hero = part(document, "hero", HTMLElement);
const workspace = part(document, "workspace", HTMLElement);
const notice = part(document, "notice", HTMLElement);
const announcer = part(document, "announcer", HTMLElement);

const settings = new Settings(part(document, "settings", HTMLFormElement), (options) => {
  stage.options = options;
  pictures.apply(options, selected);
});

const pictures = new Pictures(settings.options);

const stage = new Stage(part(document, "stage", HTMLElement), settings.options, {
  onDownload: download,
  onRetry: (picture) => pictures.retry(picture),
  onRemove: remove,
  onUseMaxRecall: () => settings.useMaxRecall(),
});

const filmstrip = new Filmstrip(part(document, "filmstrip", HTMLUListElement), {
  onOpen: open,
  onSelect: select,
  onRemove: remove,
});

const toolbar = new Toolbar(document, {
  onRetryFailed: () => pictures.retryFailed(),
  onStartOver: startOver,
  onDownloadAll: () => downloadAll(pictures.finished),
  onProblem: tell,
});

const banner = new ReadinessBanner(part(document, "banner", HTMLElement), () => {
  pictures.retryFailed(isUnserved);
  void offerModels();
});

pictures.addEventListener("change", render);
pictures.addEventListener("settled", () => {
  announcer.textContent = toolbar.summary(pictures.totals);
  if (pictures.all.some(isUnserved)) void banner.watch();
});
onLanguageChange(renderLanguage);
onLanguageChange(render);
part(document, "language", HTMLButtonElement).addEventListener("click", () => setLanguage(language() === "en" ? "zh" : "en"));
takeIn(add);
renderLanguage();
void banner.watch();
void offerModels();

/** @param {File[]} files */
function add(files) {
  tell(files.length === 0 ? t("toolbar.noFiles") : "");
  const [first] = pictures.add(files);
  if (first !== undefined) select(first);
}

/** @param {Picture} picture */
function select(picture) {
  selected = picture;
  render();
}

/** @param {Picture} picture */
function open(picture) {
  select(picture);
  part(document, "stage", HTMLElement).scrollIntoView({ block: "nearest" }); // a long list leads far away from it
}

/** @param {Picture} picture */
function remove(picture) {
  const all = pictures.all;
  const index = all.indexOf(picture);
  if (picture === selected) selected = all[index + 1] ?? all[index - 1] ?? null;
  pictures.remove(picture);
  if (selected === null) startOver();
  else render();
}

function startOver() {
  selected = null;
  pictures.clear();
  tell("");
  render();
  part(hero, "choose", HTMLButtonElement).focus(); // what had the focus is gone
}

function render() {
  const all = pictures.all;
  if (pictures.totals.busy) announcer.textContent = t("state.working");
  hero.hidden = all.length > 0;
  workspace.hidden = all.length === 0;
  toolbar.render(pictures.totals);
  filmstrip.render(all, selected);
  stage.render(selected);
}

function renderLanguage() {
  const button = part(document, "language", HTMLButtonElement);
  button.textContent = t("language.switch");
  button.lang = language() === "en" ? "zh-CN" : "en";
  button.setAttribute("aria-label", t("language.label"));
}

/** @param {string} sentence empty = nothing to tell any more */
function tell(sentence) {
  notice.textContent = sentence;
  notice.hidden = sentence === "";
}

async function offerModels() {
  const models = await listModels().catch(() => []); // the choice is a convenience: without an answer there is none
  settings.offerModels(models.filter(({ tier }) => tier === "detector"));
}

/**
 * @param {Picture} picture
 * @returns {boolean} whether it failed for want of a ready service
 */
function isUnserved({ problem }) {
  return problem !== null && (problem.status === 503 || problem.status === 0);
}
