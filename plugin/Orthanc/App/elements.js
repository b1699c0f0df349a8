// SPDX-License-Identifier: GPL-3.0-or-later
// Elements and words.

/** An element with text: everything shown goes through textContent, so that no name can become markup. */
export function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** A button; `action` names it among the buttons of its study, so that a new one takes over its focus. */
export function button(text, action, onClick, className) {
  const made = element("button", text, className);
  made.type = "button";
  made.dataset.action = action;
  made.addEventListener("click", onClick);
  return made;
}

export function percent(probability) {
  return typeof probability === "number" ? `${Math.round(probability * 100)} %` : "";
}

/** A share with its confidence interval, for example “94 % (83–98)”. */
export function interval(share) {
  if (typeof share?.value !== "number") return "unknown";
  const bound = (value) => Math.round(value * 100);
  return `${percent(share.value)} (${bound(share.low)}–${bound(share.high)})`;
}

/** How far the gateway's clock is ahead of ours, in milliseconds. */
let clockSkew = 0;

export function setClock(gatewayMilliseconds) {
  clockSkew = gatewayMilliseconds - Date.now();
}

export function waiting(since) {
  const seconds = Math.max(0, Math.floor((Date.now() + clockSkew - since) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** The time of day, and the day when it is not today. */
export function clock(milliseconds) {
  const time = new Date(milliseconds);
  const digits = (number) => String(number).padStart(2, "0");
  const day = `${time.getFullYear()}-${digits(time.getMonth() + 1)}-${digits(time.getDate())}`;
  const hour = `${digits(time.getHours())}:${digits(time.getMinutes())}`;
  return time.toDateString() === new Date().toDateString() ? hour : `${day} ${hour}`;
}

/** DICOM writes 20261122. */
export function date(text) {
  return /^\d{8}$/.test(text ?? "") ? `${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}` : (text ?? "");
}

/** DICOM writes Family^Given. */
export function personName(name) {
  return String(name ?? "").split("=")[0].split("^").filter(Boolean).join(", ");
}

/** What was done, for example “CT head”; modality and description often say the same. */
export function description(study) {
  const [modality, text] = [study.modality ?? "", study.description ?? ""];
  const repeats = text.toUpperCase().startsWith(modality.toUpperCase());
  return (repeats ? text || modality : `${modality} ${text}`.trim()) || "Study";
}

export function findingName(finding) {
  return finding.title || finding.finding;
}

/** Positive findings first, the most probable one on top. */
export function sortedFindings(findings) {
  return [...(findings ?? [])].sort((one, other) =>
    Number(other.positive) - Number(one.positive) || other.probability - one.probability);
}

/** Three bars that fill with the urgency; the word stands beside them. */
export function meter() {
  const made = element("span", undefined, "meter");
  made.setAttribute("aria-hidden", "true");
  made.append(element("i"), element("i"), element("i"));
  return made;
}

/** The probability as a bar with the operating threshold as a mark; the numbers stand beside it. */
export function scale(finding) {
  const made = element("span", undefined, "scale");
  made.setAttribute("aria-hidden", "true");
  made.style.setProperty("--probability", finding.probability);
  made.style.setProperty("--threshold", finding.threshold);
  return made;
}
