// SPDX-License-Identifier: GPL-3.0-or-later
"use strict";

const pollMilliseconds = 1000;
/** …/gantry/, whether the page was opened with or without a slash at the end, and behind any path prefix. */
const root = document.currentScript.src.replace(/(app\/)?app\.js.*$/, "");
const body = document.getElementById("studies");
const state = document.getElementById("state");
const reviewer = document.getElementById("reviewer");
/** What each row was last made of, so that a row that did not change keeps its focus. */
const rows = new Map();
/** Reviews on their way or refused, by study and finding. */
const attempts = new Map();
let clockSkew = 0;
/** What the gateway said last. */
let latest = { at_ms: Date.now(), studies: [] };
/** Studies that were announced, with the urgency they had; null until the first answer. */
let announced = null;

const filters = {
  modality: document.getElementById("filter-modality"),
  finding: document.getElementById("filter-finding"),
  status: document.getElementById("filter-status"),
};
/** The patient whose studies alone are shown; empty: all. */
let onlyPatient = "";
const patientButton = document.getElementById("filter-patient");

reviewer.value = localStorage.getItem("gantry-reviewer") ?? "";
reviewer.addEventListener("input", () => {
  localStorage.setItem("gantry-reviewer", reviewer.value);
  reviewer.classList.remove("missing");
});

/** An element with text: everything shown goes through textContent, so that no name can become markup. */
function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function percent(probability) {
  return typeof probability === "number" ? `${Math.round(probability * 100)} %` : "";
}

function waiting(since) {
  const seconds = Math.max(0, Math.floor((Date.now() + clockSkew - since) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** DICOM writes Family^Given. */
function personName(name) {
  return String(name ?? "").split("=")[0].split("^").filter(Boolean).join(", ");
}

/** The last review of a finding, whoever gave it. */
function lastReview(study, finding) {
  return (study.reviews ?? []).filter((review) => review.finding === finding).at(-1);
}

async function send(study, finding, verdict) {
  const name = reviewer.value.trim();
  if (name === "") {
    reviewer.classList.add("missing");
    reviewer.focus();
    return;
  }
  const key = `${study.study} ${finding.finding}`;
  attempts.set(key, { verdict, text: "sending…" });
  rows.delete(study.study);
  let problem = "";
  try {
    const answer = await fetch(`${root}studies/${encodeURIComponent(study.study)}/review`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        finding: finding.finding, verdict, reviewer: name, model_version: study.model?.version,
      }),
    });
    if (!answer.ok) problem = (await answer.json().catch(() => ({}))).error ?? `Refused (${answer.status}).`;
  } catch {
    problem = "The gateway does not answer.";
  }
  if (problem) attempts.set(key, { verdict: null, text: problem, wrong: true });
  else attempts.delete(key);
  rows.delete(study.study);
  await refresh();
}

function reviewCell(study, finding) {
  const cell = element("div", undefined, "finding");
  const given = lastReview(study, finding.finding);
  const attempt = attempts.get(`${study.study} ${finding.finding}`);
  for (const [verdict, title] of [["agree", "Agree"], ["disagree", "Disagree"]]) {
    const button = element("button", title);
    button.type = "button";
    button.setAttribute("aria-pressed", String(given?.verdict === verdict));
    button.setAttribute("aria-label", `${title}: ${finding.title ?? finding.finding}`);
    button.disabled = attempt !== undefined && !attempt.wrong;
    button.dataset.action = `${verdict} ${finding.finding}`;
    button.addEventListener("click", () => send(study, finding, verdict));
    cell.append(button);
  }
  if (attempt) cell.append(element("span", attempt.text, attempt.wrong ? "quiet wrong" : "quiet"));
  else if (given) {
    const refused = given.state === "refused" ? ` (not taken as a label: ${given.reason})` : "";
    cell.append(element("span", `${given.reviewer}: ${given.verdict}${refused}`, "quiet"));
  }
  return cell;
}

/** One line for those who hear the page. */
function spoken(study) {
  const positive = (study.findings ?? []).filter((finding) => finding.positive);
  const what = positive.map((finding) => `${finding.title ?? finding.finding} ${percent(finding.probability)}`);
  return [study.urgency, study.state, ...what, personName(study.patient?.name), study.modality].filter(Boolean).join(", ");
}

function makeRow(study) {
  const row = element("tr", undefined, study.urgency);
  const findings = study.findings ?? [];
  row.tabIndex = -1;
  row.setAttribute("aria-label", spoken(study));

  const urgency = element("td", study.urgency);
  urgency.append(element("span", study.state, "quiet"));

  const what = element("td");
  for (const finding of findings) {
    const line = element("div", undefined, finding.positive ? "finding positive" : "finding");
    line.append(`${finding.title ?? finding.finding} ${percent(finding.probability)}`);
    line.append(element("span", finding.positive ? "above threshold" : "below threshold", "quiet"));
    what.append(line);
  }
  const model = study.model ?? {};
  const version = element("span", `${model.title ?? model.name ?? ""} ${String(model.version ?? "").slice(0, 8)}`, "quiet");
  version.title = model.intended_use ?? "";
  what.append(version);

  const patient = element("td", personName(study.patient?.name) || "no name");
  patient.append(element("span", [study.patient?.id, study.patient?.birth_date].filter(Boolean).join(" · "), "quiet"));
  const others = sharedPatient(study);
  if (others > 0) {
    const more = element("button", others === 1 ? "1 other study" : `${others} other studies`, "link");
    more.type = "button";
    more.dataset.action = "patient";
    more.addEventListener("click", () => showPatient(study.patient.id));
    patient.append(more);
  }

  const about = element("td");
  const description = [study.modality, study.description].filter(Boolean).join(" ") || "Study";
  if (study.gateway_study) {
    const link = element("a", description);
    link.href = `${root}../app/explorer.html#study?uuid=${encodeURIComponent(study.gateway_study)}`;
    about.append(link);
  } else about.append(description);
  about.append(element("span", [study.study_date, study.accession_number].filter(Boolean).join(" · "), "quiet"));

  const since = element("td", waiting(study.arrived_at_ms));
  since.dataset.since = study.arrived_at_ms;

  const review = element("td");
  for (const finding of findings) review.append(reviewCell(study, finding));

  row.append(urgency, what, patient, about, since, review);
  return row;
}

// Filters

/** How many other flagged studies this patient has. */
function sharedPatient(study) {
  const id = study.patient?.id;
  return id ? latest.studies.filter((other) => other.patient?.id === id).length - 1 : 0;
}

function showPatient(id) {
  onlyPatient = id;
  rows.clear();
  show(latest);
}

const statuses = {
  "not reviewed": (study) => (study.reviews ?? []).length === 0,
  reviewed: (study) => (study.reviews ?? []).length > 0,
  preliminary: (study) => study.state === "preliminary",
  final: (study) => study.state === "final",
};

function passes(study) {
  return (!onlyPatient || study.patient?.id === onlyPatient)
    && (!filters.modality.value || study.modality === filters.modality.value)
    && (!filters.finding.value
      || (study.findings ?? []).some((finding) => finding.positive && finding.finding === filters.finding.value))
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

function offerFilters(studies) {
  offer(filters.modality, new Map(studies.filter((study) => study.modality).map((study) => [study.modality, study.modality])));
  offer(filters.finding, new Map(studies.flatMap((study) =>
    (study.findings ?? []).map((finding) => [finding.finding, finding.title ?? finding.finding]))));
  offer(filters.status, new Map(Object.keys(statuses).map((name) => [name, name])));
  patientButton.hidden = !onlyPatient;
  patientButton.textContent = `Only patient ${onlyPatient} ×`;
}

for (const select of Object.values(filters)) select.addEventListener("change", () => show(latest));
document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
patientButton.addEventListener("click", () => showPatient(""));

// Keyboard

function moveTo(row) {
  if (!row) return;
  for (const other of body.children) other.tabIndex = other === row ? 0 : -1;
  row.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select")) return;
  const row = document.activeElement?.closest?.("tbody tr");
  const study = row && latest.studies.find((candidate) => candidate.study === row.dataset.study);
  const finding = study?.findings?.find((candidate) => candidate.positive) ?? study?.findings?.[0];
  const actions = {
    j: () => moveTo(row ? row.nextElementSibling : body.firstElementChild),
    k: () => moveTo(row ? row.previousElementSibling : body.firstElementChild),
    a: () => finding && send(study, finding, "agree"),
    d: () => finding && send(study, finding, "disagree"),
    o: () => row?.querySelector("a")?.click(),
  };
  actions.ArrowDown = actions.j;
  actions.ArrowUp = actions.k;
  if (!Object.hasOwn(actions, event.key)) return;
  event.preventDefault();
  actions[event.key]();
});

// Showing

/** Says aloud what became more urgent since the last answer. */
function announce(studies) {
  const ranks = ["none", "routine", "urgent", "critical"];
  if (announced) {
    const news = studies.filter((study) =>
      ranks.indexOf(study.urgency) > Math.max(ranks.indexOf(announced.get(study.study)), 1));
    if (news.length) document.getElementById("news").textContent = news.map(spoken).join(". ");
  }
  announced = new Map(studies.map((study) => [study.study, study.urgency]));
}

function show(list) {
  latest = list;
  clockSkew = list.at_ms - Date.now();
  announce(list.studies);
  offerFilters(list.studies);
  const studies = list.studies.filter(passes);
  const action = document.activeElement?.dataset?.action;
  const focused = document.activeElement?.closest?.("tbody tr")?.dataset.study;
  const present = new Set();
  let place = body.firstElementChild;
  for (const study of studies) {
    const key = study.study;
    const content = JSON.stringify([study, sharedPatient(study)]);
    present.add(key);
    let known = rows.get(key);
    if (!known || known.content !== content) {
      const row = makeRow(study);
      row.dataset.study = key;
      const old = [...body.children].find((other) => other.dataset.study === key);
      if (old) {
        if (place === old) place = row;
        row.tabIndex = old.tabIndex;
        old.replaceWith(row);
      }
      known = { content, row };
      rows.set(key, known);
    }
    if (known.row === place) place = place.nextElementSibling;
    else body.insertBefore(known.row, place);
  }
  for (const row of [...body.children]) {
    if (present.has(row.dataset.study)) continue;
    rows.delete(row.dataset.study);
    row.remove();
  }
  // A row that was made anew or moved has lost the focus.
  if (focused && present.has(focused) && document.activeElement === document.body) {
    const row = rows.get(focused).row;
    const button = [...row.querySelectorAll("button")].find((other) => other.dataset.action === action);
    (action && button && !button.disabled ? button : row).focus();
  }
  // One row can always be reached with the tabulator key.
  if (body.firstElementChild && ![...body.children].some((row) => row.tabIndex === 0)) body.firstElementChild.tabIndex = 0;
  for (const cell of body.querySelectorAll("[data-since]")) cell.textContent = waiting(Number(cell.dataset.since));
  const empty = document.getElementById("empty");
  empty.hidden = studies.length > 0;
  empty.textContent = list.studies.length ? "No flagged study passes the filter." : "No flagged studies.";
  const urgent = list.studies.filter((study) => study.urgency === "critical" || study.urgency === "urgent").length;
  document.title = urgent ? `(${urgent}) Gantry worklist` : "Gantry worklist";
  const counted = `${list.studies.length} flagged, ${urgent} urgent or critical`;
  const shown = studies.length < list.studies.length ? `${counted}, ${studies.length} shown` : counted;
  if (state.textContent !== shown) state.textContent = shown;
  state.classList.remove("lost");
}

async function refresh() {
  try {
    const answer = await fetch(`${root}worklist`, { cache: "no-store" });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `status ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    state.textContent = `Not up to date: ${error.message}`;
    state.classList.add("lost");
  }
}

async function poll() {
  await refresh();
  setTimeout(poll, pollMilliseconds);
}

poll();
