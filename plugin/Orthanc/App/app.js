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

function makeRow(study) {
  const row = element("tr", undefined, study.urgency);
  const findings = study.findings ?? [];

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

function show(list) {
  clockSkew = list.at_ms - Date.now();
  const focused = document.activeElement?.dataset?.action;
  const focusedRow = document.activeElement?.closest?.("tr");
  const present = new Set();
  let place = body.firstElementChild;
  for (const study of list.studies) {
    const key = study.study;
    const content = JSON.stringify(study);
    present.add(key);
    let known = rows.get(key);
    if (!known || known.content !== content) {
      const row = makeRow(study);
      row.dataset.study = key;
      const old = [...body.children].find((other) => other.dataset.study === key);
      if (old) {
        if (place === old) place = row;
        old.replaceWith(row);
        if (old === focusedRow && focused) {
          [...row.querySelectorAll("button")].find((button) => button.dataset.action === focused)?.focus();
        }
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
  for (const cell of body.querySelectorAll("[data-since]")) cell.textContent = waiting(Number(cell.dataset.since));
  document.getElementById("empty").hidden = list.studies.length > 0;
  const urgent = list.studies.filter((study) => study.urgency === "critical" || study.urgency === "urgent").length;
  document.title = urgent ? `(${urgent}) Gantry worklist` : "Gantry worklist";
  state.textContent = `${list.studies.length} flagged, ${urgent} urgent or critical`;
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
