// SPDX-License-Identifier: GPL-3.0-or-later
// The worklist page: what belongs together is wired here, with keyboard, verdicts and what is said aloud.
import { button, element, findingName, percent, personName, setClock, sortedFindings } from "./elements.js";
import { askAccount, explorer, follow, picture, watchWorker } from "./gateway.js";
import * as list from "./list.js";
import * as reviews from "./reviews.js";
import * as study from "./study.js";

const state = document.getElementById("state");
const trouble = document.getElementById("trouble");
const viewer = document.getElementById("viewer");
const help = document.getElementById("help");
const preview = document.getElementById("preview");
const toast = document.getElementById("toast");
const toastMilliseconds = 30000;

/** What the gateway said last. */
let latest = { at_ms: Date.now(), studies: [] };
/** Studies that were announced, with the urgency they had; null until the first answer. */
let announced = null;
/** What is wrong: with the connection, and with the worker. */
const troubles = { connection: null, worker: null };
let lastAnswerAt = 0;
/** Who reads here, as the gateway says; null before it has said so. */
let reader = null;

// Reader and light

/** Asks who is signed in: also when the page is seen again, as somebody else may be by then. */
async function askReader() {
  const answer = await askAccount().catch((error) => ({ error: error.message }));
  const before = JSON.stringify(reader);
  reader = answer.error ? null : answer;
  const text = answer.error ? "Reader unknown"
    : reader.authenticated ? `${reader.account} · ${reader.role === "user" ? "no role" : reader.role}` : "Not signed in";
  const account = document.getElementById("account");
  if (account.textContent !== text) account.textContent = text;
  const note = document.getElementById("account-note");
  note.textContent = answer.error ?? reader.note;
  note.hidden = !note.textContent;
  if (JSON.stringify(reader) !== before) show(latest);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) askReader(); });

const theme = document.getElementById("theme");
theme.value = localStorage.getItem("gantry-theme") ?? "dark";
const light = () => { document.documentElement.dataset.theme = theme.value; };
theme.addEventListener("change", () => {
  localStorage.setItem("gantry-theme", theme.value);
  light();
});
light();

// Showing

/** Says aloud what became more urgent since the last answer. */
function announce(studies) {
  const ranks = ["none", "routine", "urgent", "critical"];
  if (announced) {
    const news = studies.filter((one) => ranks.indexOf(one.urgency) > Math.max(ranks.indexOf(announced.get(one.study)), 1));
    if (news.length) document.getElementById("news").textContent = news.map(list.spoken).join(". ");
  }
  announced = new Map(studies.map((one) => [one.study, one.urgency]));
}

function count(studies) {
  const counts = document.getElementById("counts");
  const chips = ["critical", "urgent", "routine"].map((urgency) => {
    const number = studies.filter((one) => one.urgency === urgency).length;
    const chip = element("li", undefined, `${urgency}${number ? "" : " nothing"}`);
    chip.append(element("strong", String(number)), ` ${urgency}`);
    return chip;
  });
  const text = chips.map((chip) => chip.textContent).join();
  if (counts.dataset.text === text) return;
  counts.dataset.text = text;
  counts.replaceChildren(...chips);
}

function show(answer) {
  latest = answer;
  setClock(answer.at_ms);
  announce(answer.studies);
  list.offerFilters(answer.studies);
  count(answer.studies);
  const studies = answer.studies.filter(list.passes);
  list.showRows(studies);
  const inPanel = study.shownStudy();
  if (inPanel) {
    list.select(inPanel);
    study.update(answer.studies.find((one) => one.study === inPanel.study) ?? inPanel);
  }
  const empty = document.getElementById("empty");
  empty.hidden = studies.length > 0;
  empty.textContent = answer.studies.length ? "No flagged study passes the filter." : "No flagged studies.";
  const open = answer.studies.filter((one) => ["critical", "urgent"].includes(one.urgency) && !reviews.isReviewed(one));
  document.title = open.length ? `(${open.length}) Gantry worklist` : "Gantry worklist";
  const shown = studies.length < answer.studies.length ? `, ${studies.length} shown` : "";
  say(`${answer.studies.length === 1 ? "1 study" : `${answer.studies.length} studies`}, ${open.length} urgent not reviewed${shown}`);
  openNamed(studies);
}

/** Opens the study that a link names, once it is in the list: #study= and the gateway's id of it. */
function openNamed(studies) {
  const name = new URLSearchParams(location.hash.slice(1)).get("study");
  const one = name && studies.find((other) => other.gateway_study === name);
  if (!one) return;
  history.replaceState(null, "", location.pathname);
  list.moveTo(list.rowOf(one));
  openStudy(one);
}

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

function showTroubles() {
  const text = [troubles.connection, troubles.worker].filter(Boolean).join(" ");
  trouble.hidden = !text;
  if (trouble.textContent !== text) trouble.textContent = text;
}

function find(row) {
  return row && latest.studies.find((one) => one.study === row.dataset.study);
}

// Pictures

function view(one, flag = list.topFlag(one), shown = list.pictureOf(one)) {
  hidePreview();
  if (!shown) return;
  const image = element("img");
  image.alt = shown.isKeyImage ? "Key image" : "Slice with the strongest evidence";
  image.src = shown.url;
  const positive = sortedFindings(flag.findings).filter((finding) => finding.positive);
  const words = positive.map((finding) => `${findingName(finding)} ${percent(finding.probability)}`).join(", ");
  const caption = element("p", undefined, "caption");
  caption.append(element("strong", personName(one.patient?.name) || "no name"), ` ${words}`);
  const shut = button("Close", "close", () => viewer.close(), "quiet-button");
  shut.append(element("kbd", "Esc"));
  viewer.replaceChildren(image, caption, element("p", "AI result – not for diagnosis", "notice"), shut);
  viewer.dataset.study = one.study;
  if (!viewer.open) viewer.showModal();
  shut.focus();
}

viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });

function showPreview(url, beside) {
  if (!url || viewer.open) return hidePreview();
  const image = element("img");
  image.alt = "";
  image.src = url;
  preview.replaceChildren(image);
  preview.hidden = false;
  const place = beside.getBoundingClientRect();
  const top = Math.max(8, Math.min(place.top - 120, innerHeight - preview.offsetHeight - 8));
  preview.style.left = `${place.right + 12}px`;
  preview.style.top = `${top}px`;
}

function hidePreview() {
  preview.hidden = true;
  preview.replaceChildren();
}

// Verdicts

let toastTimer = 0;

function told(one, flag, finding, verdict) {
  clearTimeout(toastTimer);
  const words = { agree: "You agreed", disagree: "You disagreed", withdraw: "Your verdict is withdrawn" }[verdict];
  toast.replaceChildren(element("span", `${words}: ${findingName(finding)}, ${personName(one.patient?.name) || "no name"}`));
  if (verdict !== "withdraw") {
    const back = button("Undo", "undo", () => reviews.send(one, flag, finding, "withdraw"));
    back.append(element("kbd", "u"));
    toast.append(back);
  }
  toastTimer = setTimeout(() => toast.replaceChildren(), toastMilliseconds);
}

/** The flag and finding that the keyboard speaks about: the one whose part has the focus, else the study's first. */
function aim(one) {
  const part = document.activeElement?.closest?.("[data-finding]");
  const flag = part ? one.flags.find((other) => other.model?.version === part.dataset.version) : list.topFlag(one);
  const finding = flag?.findings.find((other) => other.finding === part?.dataset.finding) ?? sortedFindings(flag?.findings)[0];
  return finding ? { flag, finding } : null;
}

function judge(one, verdict) {
  const target = one && aim(one);
  if (target) reviews.send(one, target.flag, target.finding, verdict);
}

reviews.setHooks({
  reader: () => reader,
  changed: () => show(latest),
  told,
});
list.setHooks({ open: openStudy, view, preview: showPreview });
study.setHooks({
  view,
  selected: list.select,
  closed: (one) => (list.rowOf(one) ?? document.querySelector("#studies tr"))?.focus(),
});

// Keyboard

function openStudy(one, section) {
  hidePreview();
  list.visit(one);
  study.open(one, section);
  show(latest);
}

function step(to) {
  const row = list.currentRow() ?? (study.shownStudy() && list.rowOf(study.shownStudy()))
    ?? (viewer.open ? list.rowOf({ study: viewer.dataset.study }) : null);
  const next = row ? row[to] : document.querySelector("#studies tr");
  const one = find(next);
  if (!one) return;
  const isViewing = viewer.open;
  if (isViewing) viewer.close();
  list.moveTo(next);
  list.visit(one);
  if (study.shownStudy()) study.update(one);
  if (isViewing) view(one);
  show(latest);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select")) return;
  if (help.open) return;
  const one = find(list.currentRow()) ?? (viewer.open ? find(list.rowOf({ study: viewer.dataset.study })) : null)
    ?? study.shownStudy();
  const actions = {
    j: () => step("nextElementSibling"),
    k: () => step("previousElementSibling"),
    i: () => (viewer.open ? viewer.close() : one && view(one)),
    a: () => judge(one, "agree"),
    d: () => judge(one, "disagree"),
    u: () => reviews.undo(one),
    p: () => one && openStudy(one, "priors"),
    o: () => one && explorer(one) && location.assign(explorer(one)),
    "?": () => help.showModal(),
  };
  const isOnRow = event.target.matches?.("tbody tr");
  if (isOnRow || event.target === document.body) {
    actions.ArrowDown = actions.j;
    actions.ArrowUp = actions.k;
  }
  if (isOnRow) actions.Enter = () => openStudy(one);
  if (!viewer.open) actions.Escape = () => study.close();
  if (!Object.hasOwn(actions, event.key)) return;
  event.preventDefault();
  actions[event.key]();
});

document.getElementById("keys").addEventListener("click", () => help.showModal());
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  list.moveTo(document.querySelector("#studies tr"));
});
list.onFilter(() => show(latest));
setInterval(list.tick, 1000);
askReader();

follow((answer) => {
  lastAnswerAt = Date.now();
  show(answer);
}, (problem) => {
  if (!problem) lastAnswerAt = Date.now();
  const since = lastAnswerAt ? ` since ${new Date(lastAnswerAt).toTimeString().slice(0, 8)}` : "";
  troubles.connection = problem ? `This list is not up to date${since}: ${problem}.` : null;
  showTroubles();
});
watchWorker((problem) => {
  troubles.worker = problem;
  showTroubles();
});
