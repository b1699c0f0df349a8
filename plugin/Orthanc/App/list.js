// SPDX-License-Identifier: GPL-3.0-or-later
// The rows of the worklist, and its filters.
import {
  button, date, description, element, findingName, meter, percent, personName, scale, sortedFindings, waiting,
} from "./elements.js";
import { explorer, picture } from "./gateway.js";
import { isContestedStudy, isReviewed, pendingOf, readerKey, reviewControls } from "./reviews.js";

const body = document.getElementById("studies");
/** What each row was last made of, so that a row that did not change keeps its focus. */
const rows = new Map();
/** Studies that came while the page was open and were not visited since. */
const unvisited = new Set();
let known = null;
let hooks = { open: () => {}, view: () => {}, preview: () => {} };

/** `open(study, section)` shows all of a study, `view(study)` its picture, `preview(url, element)` a glance at it. */
export function setHooks(given) {
  hooks = given;
}

/** The study's most urgent flag, which its row shows. */
export function topFlag(study) {
  return (study.flags ?? []).find((flag) => flag.flag === study.flag)
    ?? { flag: study.flag, findings: study.findings ?? [], model: study.model ?? {}, state: study.state };
}

/** The picture of a study's row; one without a finding has none. */
export function pictureOf(study) {
  if (study.urgency === "none") return null;
  return picture(study, topFlag(study), study.key_image);
}

/** One line for those who hear the page. */
export function spoken(study) {
  const what = sortedFindings(study.findings).filter((finding) => finding.positive)
    .map((finding) => `${findingName(finding)} ${percent(finding.probability)}`);
  if (study.unreadable) what.push("unreadable flag");
  return [study.urgency === "none" ? "not urgent" : study.urgency, study.state, ...what,
    personName(study.patient?.name), study.modality].filter(Boolean).join(", ");
}

// Rows

function urgencyCell(study) {
  const cell = element("td", undefined, "urgency");
  const word = element("span", study.urgency === "none" ? "no finding" : study.urgency, "word");
  cell.append(meter(), word, element("span", study.state, `state ${study.state}`));
  if (unvisited.has(study.study)) cell.append(element("span", "new", "badge"));
  return cell;
}

function pictureCell(study) {
  const cell = element("td", undefined, "image");
  const shown = pictureOf(study);
  if (!shown) return cell;
  const open = button(undefined, "image", () => hooks.view(study), "thumb");
  open.setAttribute("aria-label", shown.isKeyImage ? "Key image, large" : "Slice with the strongest evidence, large");
  const image = element("img");
  image.alt = "";
  image.loading = "lazy";
  image.addEventListener("error", () => open.replaceChildren(element("span", "no picture", "quiet")));
  image.src = shown.url;
  open.append(image);
  open.addEventListener("mouseenter", () => hooks.preview(image.src, open));
  open.addEventListener("mouseleave", () => hooks.preview(null));
  cell.append(open);
  return cell;
}

function findingCell(study) {
  const cell = element("td", undefined, "what");
  for (const finding of sortedFindings(study.findings)) {
    const line = element("div", undefined, finding.positive ? "finding positive" : "finding");
    const top = element("div", undefined, "top");
    top.append(element("span", findingName(finding), "name"), element("span", percent(finding.probability), "number"));
    const bottom = element("div", undefined, finding.positive ? "bottom" : "unseen");
    if (finding.positive) bottom.append(scale(finding));
    bottom.append(element("span", finding.positive ? "above " : "below ", "unseen"));
    bottom.append(element("span", `threshold ${percent(finding.threshold)}`, "quiet"));
    line.append(top, bottom);
    cell.append(line);
  }
  if (study.unreadable) cell.append(element("div", "unreadable flag", "finding wrong"));
  const model = study.model ?? {};
  const others = (study.flags ?? []).length - 1;
  const more = others > 0 ? ` and ${others} more` : "";
  const why = button(`${model.title || model.name || "model"} ${String(model.version ?? "").slice(0, 8)}${more}`, "model",
    () => hooks.open(study), "link why");
  why.title = model.intended_use ?? "";
  why.setAttribute("aria-label", `Why, and how sure: ${why.textContent}`);
  cell.append(why);
  return cell;
}

function patientCell(study) {
  const cell = element("td", undefined, "patient");
  cell.append(element("span", personName(study.patient?.name) || "no name", "name"));
  cell.append(element("span", [study.patient?.id, date(study.patient?.birth_date)].filter(Boolean).join(" · "), "quiet"));
  if (study.priors > 0) {
    cell.append(button(study.priors === 1 ? "1 other flagged study" : `${study.priors} other flagged studies`, "priors",
      () => hooks.open(study, "priors"), "link"));
  }
  return cell;
}

function aboutCell(study) {
  const cell = element("td", undefined, "about");
  const address = explorer(study);
  if (address) {
    const link = element("a", description(study));
    link.href = address;
    cell.append(link);
  } else cell.append(element("span", description(study)));
  cell.append(element("span", [date(study.study_date), study.accession_number].filter(Boolean).join(" · "), "quiet"));
  return cell;
}

function makeRow(study) {
  const row = element("tr", undefined, [study.urgency, isReviewed(study) ? "reviewed" : "", pictureOf(study) ? "" : "bare"].join(" "));
  row.setAttribute("role", "row");
  row.setAttribute("aria-label", spoken(study));
  row.dataset.study = study.study;
  row.tabIndex = -1;
  const since = element("td", undefined, "waiting");
  const time = element("span", waiting(study.arrived_at_ms), "number");
  time.dataset.since = study.arrived_at_ms;
  since.append(time);
  const review = element("td", undefined, "verdicts");
  // What is below its threshold can be judged in the study's own view.
  const sorted = sortedFindings(study.findings);
  const judged = sorted.some((finding) => finding.positive) ? sorted.filter((finding) => finding.positive) : sorted.slice(0, 1);
  for (const finding of judged) {
    const controls = reviewControls(study, topFlag(study), finding);
    if (judged.length > 1) controls.prepend(element("span", findingName(finding), "title"));
    review.append(controls);
  }
  row.append(urgencyCell(study), pictureCell(study), findingCell(study), patientCell(study), aboutCell(study), since, review);
  for (const cell of row.children) cell.setAttribute("role", "cell");
  row.addEventListener("click", (event) => {
    if (!event.target.closest("button, a")) hooks.open(study);
  });
  return row;
}

/** Shows these studies in this order, and leaves what did not change as it is. */
export function showRows(studies) {
  if (known) for (const study of studies) if (!known.has(study.study)) unvisited.add(study.study);
  known = new Set([...(known ?? []), ...studies.map((study) => study.study)]);
  const action = document.activeElement?.dataset?.action;
  const focused = document.activeElement?.closest?.("tbody tr")?.dataset.study;
  const present = new Set();
  let place = body.firstElementChild;
  for (const study of studies) {
    const key = study.study;
    const content = JSON.stringify([study, pendingOf(study), unvisited.has(key), readerKey()]);
    present.add(key);
    let shown = rows.get(key);
    if (!shown || shown.content !== content) {
      const row = makeRow(study);
      if (shown?.row.parentNode) {
        if (place === shown.row) place = row;
        row.tabIndex = shown.row.tabIndex;
        if (shown.row.ariaCurrent) row.ariaCurrent = shown.row.ariaCurrent;
        shown.row.replaceWith(row);
      }
      shown = { content, row };
      rows.set(key, shown);
    }
    if (shown.row === place) place = place.nextElementSibling;
    else body.insertBefore(shown.row, place);
  }
  for (const row of [...body.children]) {
    if (present.has(row.dataset.study)) continue;
    rows.delete(row.dataset.study);
    row.remove();
  }
  // A row that was made anew or moved has lost the focus.
  if (focused && present.has(focused) && document.activeElement === document.body) {
    const row = rows.get(focused).row;
    const again = [...row.querySelectorAll("button")].find((other) => other.dataset.action === action);
    (action && again && !again.disabled ? again : row).focus({ preventScroll: true });
  }
  // One row can always be reached with the tabulator key.
  if (body.firstElementChild && ![...body.children].some((row) => row.tabIndex === 0)) body.firstElementChild.tabIndex = 0;
}

/** The row the keyboard is in. */
export const currentRow = () => document.activeElement?.closest?.("tbody tr");
export const rowOf = (study) => rows.get(study.study)?.row;

export function moveTo(row) {
  if (!row) return;
  for (const other of body.children) other.tabIndex = other === row ? 0 : -1;
  row.focus();
  row.scrollIntoView({ block: "nearest" });
}

export function visit(study) {
  unvisited.delete(study.study);
}

export function select(study) {
  for (const row of body.children) row.ariaCurrent = row.dataset.study === study?.study ? "true" : null;
}

export function tick() {
  for (const time of body.querySelectorAll("[data-since]")) {
    const text = waiting(Number(time.dataset.since));
    if (time.textContent !== text) time.textContent = text;
  }
}

// Filters

const filters = {
  modality: document.getElementById("filter-modality"),
  finding: document.getElementById("filter-finding"),
  status: document.getElementById("filter-status"),
};

const statuses = {
  flagged: (study) => study.urgency !== "none",
  "not reviewed": (study) => !isReviewed(study),
  reviewed: isReviewed,
  contested: isContestedStudy,
  preliminary: (study) => study.state === "preliminary",
  final: (study) => study.state === "final",
};

export function passes(study) {
  return (!filters.modality.value || study.modality === filters.modality.value)
    && (!filters.finding.value
      || (study.flags ?? []).some((flag) =>
        flag.findings.some((finding) => finding.positive && finding.finding === filters.finding.value)))
    && (!filters.status.value || statuses[filters.status.value](study));
}

/** Gives a filter the choices that there are; a choice that is made stays. */
function offer(select, choices) {
  if (select.value && !choices.has(select.value)) choices.set(select.value, select.selectedOptions[0].textContent);
  const sorted = [["", "all"], ...[...choices].sort((one, other) => one[1].localeCompare(other[1]))];
  const content = JSON.stringify(sorted);
  if (select.dataset.content === content) return;
  const chosen = select.value;
  select.replaceChildren(...sorted.map(([value, title]) => new Option(title, value)));
  select.value = chosen;
  select.dataset.content = content;
}

export function offerFilters(studies) {
  offer(filters.modality, new Map(studies.filter((study) => study.modality).map((study) => [study.modality, study.modality])));
  offer(filters.finding, new Map(studies.flatMap((study) => (study.flags ?? []).flatMap((flag) =>
    flag.findings.map((finding) => [finding.finding, findingName(finding)])))));
  offer(filters.status, new Map(Object.keys(statuses).map((name) => [name, name])));
}

export function onFilter(changed) {
  for (const select of Object.values(filters)) select.addEventListener("change", changed);
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
}
