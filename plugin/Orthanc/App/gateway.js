// SPDX-License-Identifier: GPL-3.0-or-later
// What the page asks the gateway.

/** …/gantry/, whether the page was opened with or without a slash at the end, and behind any path prefix. */
export const root = import.meta.url.replace(/(app\/)?gateway\.js.*$/, "");

const shortestPollMilliseconds = 500;
const longestPollMilliseconds = 10000;
const statusMilliseconds = 15000;

/** The study as the gateway calls it: its own id says nothing about the patient in anybody's access log. */
function nameOf(study) {
  return encodeURIComponent(study.gateway_study ?? study.study);
}

async function problem(answer) {
  return (await answer.json().catch(() => ({}))).error ?? `status ${answer.status}`;
}

async function get(path) {
  const answer = await fetch(root + path, { cache: "no-store" });
  if (!answer.ok) throw new Error(await problem(answer));
  return answer.json();
}

/** Everything known of a study: also its results and what was set aside. */
export const askStudy = (study) => get(`studies/${nameOf(study)}`);
/** Rows of the other flagged studies of the patient. */
export const askPriors = async (study) => (await get(`studies/${nameOf(study)}/priors`)).studies;

/** Who the gateway says is asking: account, role, authenticated, and a note about what that means. */
export const askAccount = () => get("account");

/** @returns what is wrong; empty when the gateway has taken it. */
export async function sendReview(study, review) {
  try {
    const answer = await fetch(`${root}studies/${nameOf(study)}/review`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(review),
    });
    return answer.ok ? "" : await problem(answer);
  } catch {
    return "The gateway does not answer.";
  }
}

/** The picture of a flag: its key image, until that is there the slice with the strongest evidence, else null. */
export function picture(study, flag, keyImage) {
  if (keyImage) {
    const query = new URLSearchParams({ flag: flag.flag, object: keyImage });
    return { url: `${root}studies/${nameOf(study)}/key-image?${query}`, isKeyImage: true };
  }
  const positive = (flag.findings ?? []).filter((finding) => finding.positive);
  const slices = positive.flatMap((finding) => finding.evidence ?? []).filter((slice) => slice.gateway_instance);
  if (slices.length === 0) return null;
  const best = slices.reduce((one, other) => (other.probability > one.probability ? other : one));
  const frame = best.frame > 0 ? `frames/${best.frame}/` : "";
  return { url: `${root}../instances/${encodeURIComponent(best.gateway_instance)}/${frame}rendered`, isKeyImage: false };
}

/** Where Orthanc's own pages show the study; null while the gateway does not know it. */
export function explorer(study) {
  if (!study.gateway_study) return null;
  return `${root}../app/explorer.html#study?uuid=${encodeURIComponent(study.gateway_study)}`;
}

// Polling. An answer that did not change is 304 without a body and costs the gateway no look into its database. Where
// many pages are open, the gateway says that each should ask less often.

let tag = "";
let ask = () => {};

/** Calls `onList` with every new answer, and `onLost` with a sentence, or null once the gateway answers again. */
export function follow(onList, onLost) {
  let failures = 0;
  let every = shortestPollMilliseconds;
  let timer = 0;
  let isAsking = false;
  ask = async () => {
    if (isAsking) return;
    isAsking = true;
    clearTimeout(timer);
    try {
      const headers = tag ? { "If-None-Match": tag } : {};
      const answer = await fetch(`${root}worklist?every=${every}`, { cache: "no-store", headers });
      every = Number(answer.headers.get("Gantry-Ask-Every-Milliseconds")) || shortestPollMilliseconds;
      if (answer.status !== 304) {
        if (!answer.ok) throw new Error(await problem(answer));
        onList(await answer.json());
        tag = answer.headers.get("ETag") ?? "";
      }
      failures = 0;
      onLost(null);
    } catch (error) {
      failures = Math.min(failures + 1, 3);
      tag = "";
      onLost(error instanceof TypeError ? "the gateway does not answer" : error.message);
    }
    isAsking = false;
    timer = setTimeout(ask, Math.min(every * 2 ** failures, longestPollMilliseconds));
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  ask();
}

/** Asks at once. */
export const refresh = () => ask();

/** Calls `onTrouble` with a sentence when studies are not being looked at, else with null. */
export async function watchWorker(onTrouble) {
  try {
    onTrouble(trouble(await get("status")));
  } catch {
    // The worklist's own poll says so.
  }
  setTimeout(() => watchWorker(onTrouble), statusMilliseconds);
}

function trouble(status) {
  if (status.database?.state === "unusable") return "The gateway's database cannot be used: flags are not shown.";
  const workers = status.workers ?? [];
  if (workers.length && !workers.some((worker) => worker.connected)) {
    return `No worker is connected: studies that arrive now are not looked at (${status.outbox?.waiting ?? 0} instances wait).`;
  }
  return null;
}
