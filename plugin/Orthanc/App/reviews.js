// SPDX-License-Identifier: GPL-3.0-or-later
// What people said about findings, and what this reader says now.
import { button, clock, element, findingName } from "./elements.js";
import { refresh, sendReview } from "./gateway.js";

const sources = {
  review: "", sheet: "label sheet", report: "report", "key-objects": "key object selection", fhir: "report (FHIR)",
};

/** Verdicts on their way or refused, by study, model version and finding. */
const attempts = new Map();
/** The last verdict of this page's reader that can be undone with one key, as {study, flag, finding}. */
let last = null;
let hooks = { reader: () => null, changed: () => {}, told: () => {} };

/** `reader()` gives the gateway's word on who reads here, `changed(study)` shows a study anew, `told` shows a verdict. */
export function setHooks(given) {
  hooks = given;
}

const keyOf = (study, flag, finding) => `${study.study} ${flag.model?.version} ${finding.finding}`;

/** What changes in a study's row without a word of the gateway. */
export const pendingOf = (study) => [...attempts].filter(([key]) => key.startsWith(`${study.study} `));

/** Whose verdicts are one's own. */
export const readerKey = () => JSON.stringify(hooks.reader());

/**
 * Everything said about a finding of a study, oldest first: what the worker counts, and the verdicts given here that it
 * does not know yet.
 * @returns {{at: number, who: string, role: string, source: string, present: boolean, withdrawn: boolean,
 *   current: boolean, refused: string, isPending: boolean}[]}
 */
export function statements(study, finding) {
  const told = (finding.statements ?? []).map((statement) => ({
    at: statement.at_ms, who: statement.reader ?? "", role: statement.role ?? "", source: statement.source,
    present: statement.present, withdrawn: statement.withdrawn === true, current: statement.current === true,
    refused: "", isPending: false,
  }));
  const reviews = (study.reviews ?? []).filter((review) => review.finding === finding.finding);
  const withdrawals = new Map(reviews.filter((review) => review.verdict === "withdraw" && review.state !== "refused")
    .map((review) => [review.withdraws, review]));
  for (const review of reviews) {
    if (review.verdict === "withdraw") continue;
    const known = told.find((statement) =>
      statement.source === "review" && statement.at === review.at_ms && statement.who === review.reviewer);
    if (known) {
      known.withdrawn ||= withdrawals.has(review.review);
      continue;
    }
    told.push({
      at: review.at_ms, who: review.reviewer, role: review.role ?? "", source: "review",
      present: (review.verdict === "agree") === review.positive, withdrawn: withdrawals.has(review.review), current: false,
      refused: review.state === "refused" ? review.reason || "refused" : "", isPending: review.state === "pending",
    });
  }
  told.sort((one, other) => one.at - other.at);
  const standing = told.filter((statement) => !statement.withdrawn && !statement.refused);
  // Until the worker has said which one counts, the last one does.
  if (!standing.some((statement) => statement.current)) {
    for (const statement of told) statement.current = statement === standing.at(-1);
  }
  return told;
}

/** Statements that were neither withdrawn nor refused. */
const standing = (study, finding) =>
  statements(study, finding).filter((statement) => !statement.withdrawn && !statement.refused);

export function isReviewed(study) {
  return (study.flags ?? []).some((flag) => flag.findings.some((finding) => standing(study, finding).length > 0));
}

/** Whether people contradict each other; nobody contradicts himself by changing his mind. */
export function isContested(study, finding) {
  const voices = new Map();
  for (const statement of standing(study, finding)) voices.set(`${statement.source} ${statement.who}`, statement.present);
  return new Set(voices.values()).size > 1;
}

export const isContestedStudy = (study) =>
  (study.flags ?? []).some((flag) => flag.findings.some((finding) => isContested(study, finding)));

/** One statement in words, for example “Dr. A agreed 10:02” or “report (Dr. B): absent 11:30”. */
export function inWords(statement, finding) {
  const time = clock(statement.at);
  if (statement.source === "review") {
    return `${statement.who} ${statement.present === finding.positive ? "agreed" : "disagreed"} ${time}`;
  }
  const source = sources[statement.source] ?? statement.source;
  return `${source}${statement.who ? ` (${statement.who})` : ""}: ${statement.present ? "present" : "absent"} ${time}`;
}

/** This reader's last verdict that stands. Who has no name shares the verdicts of everybody who has none. */
function ownVerdict(study, finding) {
  const reader = hooks.reader();
  if (!reader) return undefined;
  const reviews = (study.reviews ?? []).filter((review) =>
    review.finding === finding.finding && review.reviewer === reader.account && review.state !== "refused"
      && (review.role !== "unauthenticated") === reader.authenticated);
  const withdrawn = new Set(reviews.map((review) => review.withdraws).filter(Boolean));
  return reviews.filter((review) => review.verdict !== "withdraw" && !withdrawn.has(review.review)).at(-1);
}

/** Gives a verdict, or takes the last one back. */
export async function send(study, flag, finding, verdict) {
  const key = keyOf(study, flag, finding);
  attempts.set(key, { text: "sending…", wrong: false });
  hooks.changed(study);
  const problem = await sendReview(study, {
    finding: finding.finding, verdict, model_version: flag.model?.version,
  });
  if (problem) attempts.set(key, { text: problem, wrong: true });
  else {
    attempts.delete(key);
    last = verdict === "withdraw" ? null : { study, flag, finding };
    hooks.told(study, flag, finding, verdict);
  }
  hooks.changed(study);
  await refresh();
}

/** Takes back the reader's verdict on the study's findings, without a study the last one given on this page. */
export function undo(study) {
  for (const flag of study?.flags ?? []) {
    for (const finding of flag.findings) {
      if (ownVerdict(study, finding)) return send(study, flag, finding, "withdraw");
    }
  }
  if (last) return send(last.study, last.flag, last.finding, "withdraw");
}

/** The two buttons of a finding, what was said last, and the way back. */
export function reviewControls(study, flag, finding) {
  const made = element("div", undefined, "review");
  made.dataset.finding = finding.finding;
  made.dataset.version = flag.model?.version ?? "";
  const attempt = attempts.get(keyOf(study, flag, finding));
  const own = ownVerdict(study, finding);
  const isSending = attempt !== undefined && !attempt.wrong;
  for (const [verdict, title] of [["agree", "Agree"], ["disagree", "Disagree"]]) {
    const action = `${verdict} ${finding.finding} ${flag.model?.version ?? ""}`;
    const choice = button(title, action, () => send(study, flag, finding, verdict), "verdict");
    choice.setAttribute("aria-pressed", String(own?.verdict === verdict));
    choice.setAttribute("aria-label", `${title}: ${findingName(finding)}`);
    choice.disabled = isSending;
    made.append(choice);
  }
  if (own && !isSending) {
    const action = `withdraw ${finding.finding} ${flag.model?.version ?? ""}`;
    const back = button("Undo", action, () => send(study, flag, finding, "withdraw"), "link");
    back.setAttribute("aria-label", `Undo your verdict: ${findingName(finding)}`);
    made.append(back);
  }
  const said = element("p", undefined, "said");
  if (attempt) {
    said.append(element("span", attempt.text, attempt.wrong ? "wrong" : ""));
  } else {
    const history = statements(study, finding);
    const shown = history.find((statement) => statement.current) ?? history.at(-1);
    if (isContested(study, finding)) said.append(element("strong", "Contested: ", "contested"));
    if (shown) said.append(inWords(shown, finding) + suffix(shown));
    const others = history.filter((statement) => statement !== shown && !statement.withdrawn && !statement.refused).length;
    if (others > 0) said.append(`, ${others} more`);
  }
  if (said.childNodes.length) made.append(said);
  return made;
}

function suffix(statement) {
  if (statement.refused) return ` (not taken as a label: ${statement.refused})`;
  if (statement.withdrawn) return " (withdrawn)";
  return "";
}

/** All statements about a finding, with who said so, when, and which one counts. */
export function historyOf(study, finding) {
  const list = element("ol", undefined, "history");
  for (const statement of statements(study, finding)) {
    const item = element("li", undefined, statement.withdrawn || statement.refused ? "past" : "");
    item.append(element("span", inWords(statement, finding), "words"));
    if (statement.role) item.append(element("span", statement.role, "quiet"));
    if (statement.current) item.append(element("span", "counts", "badge"));
    if (statement.isPending) item.append(element("span", "on its way to the worker", "quiet"));
    const note = suffix(statement).trim();
    if (note) item.append(element("span", note, "quiet"));
    list.append(item);
  }
  return list;
}
