// SPDX-License-Identifier: GPL-3.0-or-later
// Everything about one study beside the list: why it is flagged, how sure that is, who said what, and what was before.
import {
  button, clock, date, description, element, findingName, interval, meter, percent, personName, scale, sortedFindings, waiting,
} from "./elements.js";
import { askPriors, askStudy, explorer, picture } from "./gateway.js";
import { historyOf, isContested, pendingOf, readerKey, reviewControls, statements } from "./reviews.js";

const panel = document.getElementById("study");

const completeness = {
  "expected-count": "it holds as many instances as it says",
  "series-count": "its series hold as many instances as they say",
  "acquisition-count": "its acquisitions hold as many images as they say",
  host: "the gateway said so",
  "quiet-period": "nothing more came for the quiet period",
};
const resultNames = {
  report: "Structured report", "key-image": "Key image", "key-objects": "Key object selection",
  segmentation: "Segmentation",
};

/** The study that is shown, as a row of the worklist; null while the panel is closed. */
let shown = null;
/** What it was made of. */
let content = "";
/** From the study's own document: results and instances that were set aside. */
let details = null;
let priors = null;
/** Studies to go back to, when a prior one was opened. */
let trail = [];
let hooks = { view: () => {}, closed: () => {}, selected: () => {} };

/** `view(study, flag)` shows a picture large, `closed(study)` gives the keyboard back, `selected(study)` marks its row. */
export function setHooks(given) {
  hooks = given;
}

export const shownStudy = () => shown;

export function open(study, section) {
  trail = [];
  show(study);
  (section ? document.getElementById(section) : panel)?.focus();
}

function show(study) {
  const isOther = study.study !== shown?.study;
  shown = study;
  if (isOther) {
    details = null;
    priors = null;
  }
  panel.hidden = false;
  document.body.classList.add("with-study");
  hooks.selected(study);
  make();
  if (isOther) panel.scrollTop = 0;
  load(study);
}

/** What the worklist's row does not carry; asked again when the row changed. */
async function load(study) {
  const isStill = () => shown?.study === study.study;
  const failed = (error) => ({ error: error.message });
  const answers = await Promise.all([
    askStudy(study).catch(failed), study.priors > 0 || priors ? askPriors(study).catch(failed) : []]);
  if (!isStill()) return;
  [details, priors] = answers;
  make();
}

/** Follows the list with the reader, or shows news about the study. */
export function update(study) {
  if (!shown || !study) return;
  if (study.study !== shown.study) {
    trail = [];
    show(study);
    return;
  }
  const isNews = JSON.stringify(study) !== JSON.stringify(shown);
  shown = study;
  make();
  if (isNews) load(study);
}

export function close() {
  if (!shown) return false;
  const study = trail[0] ?? shown;
  shown = null;
  content = "";
  panel.hidden = true;
  panel.replaceChildren();
  document.body.classList.remove("with-study");
  hooks.selected(null);
  hooks.closed(study);
  return true;
}

function make() {
  const now = JSON.stringify([shown, details, priors, pendingOf(shown), readerKey()]);
  if (now === content) return;
  content = now;
  const focused = document.activeElement;
  const isInside = panel.contains(focused);
  const action = focused?.dataset?.action;
  const id = focused?.id;
  panel.replaceChildren(...parts(shown));
  panel.setAttribute("aria-label", `Study of ${personName(shown.patient?.name) || "no name"}`);
  if (!isInside || panel.contains(document.activeElement)) return;
  const again = [...panel.querySelectorAll("button, a")].find((other) => action && other.dataset.action === action);
  (again ?? (id ? document.getElementById(id) : null) ?? panel).focus({ preventScroll: true });
}

function section(title, id, ...parts) {
  const made = element("section");
  const heading = element("h3", title);
  heading.id = id;
  heading.tabIndex = -1;
  made.setAttribute("aria-labelledby", id);
  made.append(heading, ...parts);
  return made;
}

function parts(study) {
  const flags = (study.flags ?? []).filter((flag) => flag.findings);
  return [heading(study), ...flags.map((flag, index) => flagSection(study, flag, index)), priorsSection(study),
    objectsSection(study)].filter(Boolean);
}

function heading(study) {
  const made = element("header", undefined, study.urgency);
  const bar = element("div", undefined, "bar");
  if (trail.length) {
    bar.append(button("Back", "back", () => show(trail.pop()), "quiet-button"));
  }
  const address = explorer(study);
  if (address) {
    const link = element("a", "Open in Orthanc", "quiet-button");
    link.href = address;
    link.dataset.action = "open";
    bar.append(link);
  }
  const shut = button("Close", "close", close, "quiet-button");
  shut.append(element("kbd", "Esc"));
  bar.append(shut);
  const urgency = element("p", undefined, "urgency");
  urgency.append(meter(), element("span", study.urgency === "none" ? "no finding" : study.urgency, "word"),
    element("span", study.state, `state ${study.state}`));
  const patient = element("h2", personName(study.patient?.name) || "no name");
  const lines = [
    [study.patient?.id, study.patient?.birth_date && `born ${date(study.patient.birth_date)}`],
    [description(study), date(study.study_date), study.accession_number],
    [`arrived ${clock(study.arrived_at_ms)}`, `waiting ${waiting(study.arrived_at_ms)}`],
  ];
  made.append(bar, urgency, patient);
  for (const line of lines) made.append(element("p", line.filter(Boolean).join(" · "), "quiet"));
  return made;
}

// What one model says

function flagSection(study, flag, index) {
  const model = flag.model ?? {};
  const made = section(model.title || model.name || "Model", `model-${index}`);
  if (flag.unreadable) {
    made.append(element("p", "This flag cannot be read: its text is no JSON, or nested too deep. The gateway's log counts such "
      + "flags; a newer flag of the worker takes its place.", "wrong"));
  }
  const shownPicture = picture(study, flag, keyImageOf(study, flag));
  if (shownPicture) made.append(figure(study, flag, shownPicture));
  for (const finding of sortedFindings(flag.findings)) made.append(findingPart(study, flag, finding));
  made.append(modelFacts(flag));
  return made;
}

function keyImageOf(study, flag) {
  if (flag.flag === study.flag && study.key_image) return study.key_image;
  const images = (details?.results ?? []).filter((result) =>
    result.kind === "key-image" && result.state === "stored" && result.flag === flag.flag);
  return images.at(-1)?.object;
}

function figure(study, flag, shownPicture) {
  const made = element("figure");
  const open = button(undefined, `image ${flag.flag}`, () => hooks.view(study, flag, shownPicture), "large");
  open.setAttribute("aria-label", "Show the picture large");
  const image = element("img");
  image.alt = shownPicture.isKeyImage ? "Key image" : "Slice with the strongest evidence";
  image.addEventListener("error", () => made.remove());
  image.src = shownPicture.url;
  open.append(image);
  const words = shownPicture.isKeyImage
    ? "The slice that says most, as the model sees it." : "The slice with the strongest evidence; the key image is not there yet.";
  made.append(open, element("figcaption", `AI result – not for diagnosis. ${words}`));
  return made;
}

function findingPart(study, flag, finding) {
  const made = element("div", undefined, finding.positive ? "finding positive" : "finding");
  made.dataset.finding = finding.finding;
  made.dataset.version = flag.model?.version ?? "";
  const title = element("h4", findingName(finding));
  title.append(element("span", percent(finding.probability), "number"));
  const verdict = finding.positive ? `above the threshold of ${percent(finding.threshold)}` : `below the threshold of ${percent(finding.threshold)}`;
  const origin = { package: ", the model's own", site: ", chosen on this site's labels" }[finding.operating_point] ?? "";
  made.append(title, scale(finding), element("p", verdict + origin, "quiet"), validation(finding));
  const slices = (finding.evidence ?? []).length;
  if (finding.positive && slices) {
    made.append(element("p", slices === 1 ? "1 slice carries the evidence." : `${slices} slices carry the evidence.`, "quiet"));
  }
  made.append(reviewControls(study, flag, finding));
  if (statements(study, finding).length) {
    if (isContested(study, finding)) {
      made.append(element("p", "Contested: people say different things about this finding.", "contested"));
    }
    made.append(historyOf(study, finding));
  }
  return made;
}

function validation(finding) {
  const found = finding.validation;
  if (!found?.labels) return element("p", "Not validated at this site: there are no held-out labels for it yet.", "quiet");
  const sentences = [
    `At this site, on ${found.labels} held-out labels (${found.positives} with it): sensitivity ${interval(found.sensitivity)}, `
      + `specificity ${interval(found.specificity)}, 95 % confidence.`];
  if (found.auc) sentences.push(`Area under the ROC curve ${interval(found.auc)}.`);
  if (found.calibration_labels) {
    sentences.push(`The threshold was chosen on ${found.calibration_labels} labels of this site: figures on the same labels flatter a little.`);
  }
  return element("p", sentences.join(" "), "validation");
}

function modelFacts(flag) {
  const model = flag.model ?? {};
  const counts = flag.instances ?? {};
  const list = element("dl", undefined, "facts");
  const fact = (name, value, title) => {
    if (!value) return;
    const text = element("dd", value);
    if (title) text.title = title;
    const pair = element("div");
    pair.append(element("dt", name), text);
    list.append(pair);
  };
  fact("Intended use", model.intended_use);
  fact("Model", [model.name, `version ${String(model.version ?? "").slice(0, 12)}`].filter(Boolean).join(", "), model.version);
  fact("Package", String(model.package ?? "").slice(0, 12), model.package);
  const aside = counts.set_aside ? `, ${counts.set_aside} set aside` : "";
  fact("Instances", `${counts.scored ?? 0} scored of ${counts.received ?? 0} received${aside}`);
  const why = completeness[flag.completeness] ? `: ${completeness[flag.completeness]}` : "";
  fact("State", flag.state === "final" ? `final since ${clock(flag.flagged_at_ms)}${why}` : "preliminary: the study is still arriving");
  return list;
}

// What was before, and what was made

function priorsSection(study) {
  if (!(study.priors > 0)) return null;
  const made = section("Other flagged studies of this patient", "priors");
  if (!priors) made.append(element("p", "Loading…", "quiet"));
  else if (priors.error) made.append(element("p", `They cannot be shown: ${priors.error}`, "wrong"));
  else {
    const list = element("ul", undefined, "priors");
    for (const prior of priors) list.append(priorItem(prior));
    made.append(list);
  }
  return made;
}

function priorItem(prior) {
  const item = element("li", undefined, prior.urgency);
  const found = sortedFindings(prior.findings);
  const positive = found.filter((finding) => finding.positive);
  const words = positive.length
    ? positive.map((finding) => `${findingName(finding)} ${percent(finding.probability)}`).join(", ") : "no finding";
  const about = [date(prior.study_date) || clock(prior.arrived_at_ms), description(prior)];
  const open = button(undefined, `prior ${prior.study}`, () => {
    trail.push(shown);
    show(prior);
    panel.focus();
  }, "prior");
  open.append(meter(), element("span", about.join(" "), "name"), element("span", words));
  const current = found.flatMap((finding) => statements(prior, finding)).filter((statement) => statement.current);
  if (current.length) open.append(element("span", "reviewed", "badge"));
  item.append(open);
  return item;
}

function objectsSection(study) {
  if (details?.error) return section("Results", "results", element("p", `They cannot be shown: ${details.error}`, "wrong"));
  const results = details?.results ?? [];
  const aside = details?.set_aside ?? [];
  if (!results.length && !aside.length) return null;
  const list = element("ul", undefined, "results");
  const titles = new Map((study.flags ?? []).map((flag) => [flag.flag, flag.model?.title || flag.model?.name]));
  for (const result of results) {
    const state = result.state === "stored" ? "in the archive" : `${result.state}${result.reason ? `: ${result.reason}` : ""}`;
    const model = titles.size > 1 && titles.get(result.flag) ? ` (${titles.get(result.flag)})` : "";
    list.append(element("li", `${resultNames[result.kind] ?? result.kind}${model}: ${state}, ${clock(result.at_ms)}`));
  }
  const made = section("Results in the study", "results", list);
  for (const reason of new Set(aside.map((instance) => instance.reason))) {
    const count = aside.filter((instance) => instance.reason === reason).length;
    made.append(element("p", `Not looked at: ${count === 1 ? "1 instance" : `${count} instances`}, ${reason}`, "wrong"));
  }
  return made;
}
