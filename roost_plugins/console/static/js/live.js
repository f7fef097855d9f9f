// The page and what happens: when something has that concerns it, the page is read again; and the
// badge says how old what you see is.
import { heard, now } from "./clock.js";
import { say } from "./said.js";
import { span } from "./spans.js";
import { connect } from "./source.js";
import { sayTitle } from "./tab.js";

const PAUSE_MS = 1_000; // the shortest time between two readings
const SHARE = 5; // a page that takes long is read less often: at most this part of the time
const FRESH_SECONDS = 6; // a pulse comes every 5 s

const badge = document.getElementById("live");
const page = () => document.getElementById("main");

let state = "connecting";
let isGone = false; // the console's server does not answer it
let isHeld = false; // the reader wants the page to stand still
let failure = null; // why the page could not be read again
let lastPulse = { at: null, age: 0, heardAt: null };
let oldest = null; // server time of the oldest thing that happened and is not shown yet
let seenAt = Date.parse(document.documentElement.dataset.now); // what is shown is true as of then
let newest = -Infinity; // server time of the newest thing that happened and concerns the page
let isReading = false;
let readAt = -Infinity;
let took = 0;
const beganAt = performance.now();
let timer = null;

// -- reading the page again ----------------------------------------------------------------------
function concerns({ work }) {
  const wanted = page()?.dataset.live ?? "none";
  if (wanted === "none") return false;
  return wanted === "all" || work === null || wanted === `work:${work}`;
}

function changed(at) {
  oldest ??= at;
  plan();
}

function plan() {
  if (timer !== null || isReading || isHeld || document.hidden || oldest === null) return;
  if (state === "lost" || state === "signed-out") return; // when the stream is back
  const wait = Math.max(0, readAt + Math.max(PAUSE_MS, took * SHARE) - performance.now());
  timer = setTimeout(read, wait);
}

function read() {
  timer = null;
  if (document.hidden || isHeld) return;
  isReading = true;
  readAt = performance.now();
  document.body.dispatchEvent(new CustomEvent("roost:changed"));
}

function isOfPage(event) {
  return event.detail?.ctx?.sourceElement === page();
}

document.addEventListener("htmx:before:request", (event) => {
  if (!isOfPage(event)) return;
  oldest = null;
  isReading = true;
});
document.addEventListener("htmx:after:swap", (event) => {
  if (!isOfPage(event)) return;
  failure = null;
  heard(page().dataset.now);
  seenAt = Date.parse(page().dataset.now);
  // Tabs share what was read a moment ago: it may be from before what this one has heard of.
  if (newest >= seenAt) {
    oldest ??= newest;
    newest = -Infinity; // once is enough: what is read later is newer
  }
});
document.addEventListener("htmx:finally:request", (event) => {
  if (!isOfPage(event)) return;
  const answer = event.detail.ctx.response;
  took = performance.now() - readAt;
  isReading = false;
  if (!answer || answer.status >= 400) {
    failure = { 401: "signed out", 403: "signed out", 404: "it is gone" }[answer?.status] ?? "no answer";
    // What happened is still not shown, but there is no use in asking at once.
    if (answer?.status !== 404) oldest ??= seenAt;
    readAt = performance.now() + 4 * PAUSE_MS;
  }
  plan();
  draw();
});

// -- what the stream says ------------------------------------------------------------------------
function take(message) {
  const { type, data } = message;
  if (type === "state") {
    const wasLost = state === "lost" || state === "signed-out";
    state = message.state;
    if (state === "live") isGone = false; // a stream that begins says so if it is
    if (state === "live" && wasLost) changed(seenAt);
  } else if (type === "pulse") {
    heard(data.at);
    lastPulse = { ...data, heardAt: data.heardAt ?? Date.now() };
  } else if (type === "gone") {
    isGone = true;
  } else if (type === "back") {
    isGone = false;
    changed(seenAt);
  } else if (type === "trimmed") {
    document.querySelector("[data-banner=trimmed]")?.removeAttribute("hidden");
    changed(seenAt);
  } else if (type === "happened") {
    for (const event of [data].flat()) {
      if (!concerns(event)) continue;
      newest = Math.max(newest, Date.parse(event.at) || -Infinity);
      changed(Date.parse(event.at) || now());
    }
  }
  draw();
}

// -- the badge -----------------------------------------------------------------------------------
// Seconds that what is shown may be behind the truth.
function behind() {
  const pulseAge = lastPulse.heardAt === null ? 0 : (Date.now() - lastPulse.heardAt) / 1000;
  const isFresh = state === "live" && !isGone && pulseAge < FRESH_SECONDS;
  if (oldest !== null || !isFresh || isHeld) {
    const from = oldest ?? Math.max(seenAt, lastPulse.at ? Date.parse(lastPulse.at) - lastPulse.age * 1000 : 0);
    return Math.max(0, (now() - from) / 1000);
  }
  return lastPulse.age ?? 0;
}

const WORDS = {
  connecting: ["connecting", "calm"],
  live: ["live", "good"],
  held: ["held", "accent"],
  lost: ["not live", "bad"],
  gone: ["not live", "bad"],
  stale: ["not live", "warn"],
  "signed-out": ["signed out", "warn"],
};
let drawn = "";

function standing() {
  if (state === "lost" || state === "signed-out") return state;
  if (isGone) return "gone";
  if (failure !== null) return failure === "signed out" ? "signed-out" : "stale";
  return isHeld ? "held" : state;
}

function draw() {
  if (!badge || document.hidden) return;
  const name = standing();
  const [word, tone] = WORDS[name];
  const seconds = Math.max(0.1, behind()); // nothing arrives in no time
  const age = `${span(seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds))}`;
  badge.hidden = page()?.dataset.live === "none" && name === "live";
  badge.dataset.keptState = name;
  badge.className = `live tone-${tone}`;
  badge.setAttribute("aria-pressed", String(isHeld));
  badge.title = isHeld ? "Let the page continue (l)" : "Hold the page as it is (l)";
  badge.querySelector(".live-word").textContent = word;
  badge.querySelector(".live-age").textContent = name === "connecting" ? "" : name === "live" ? `${age} behind` : `${age} old`;
  for (const banner of document.querySelectorAll("[data-banner]")) {
    if (banner.dataset.banner !== "trimmed") banner.hidden = banner.dataset.banner !== name;
  }
  for (const button of document.querySelectorAll("[data-live-hold]")) {
    button.setAttribute("aria-pressed", String(isHeld));
    button.querySelector("[data-live-hold-word]").textContent = isHeld ? "Continue" : "Hold";
  }
  for (const place of document.querySelectorAll("[data-seen]")) place.textContent = `${age} ago`;
  for (const place of document.querySelectorAll("[data-stale]")) place.textContent = failure ?? "no answer";
  sayTitle(name);
  if (name !== drawn) {
    if (drawn) say(name === "live" ? "Live again" : word);
    drawn = name;
  }
}

export function toggleHeld() {
  isHeld = !isHeld;
  if (!isHeld) changed(seenAt);
  draw();
}

// -- together ------------------------------------------------------------------------------------
const source = connect(take);
badge?.addEventListener("click", toggleHeld);
document.addEventListener("click", (event) => event.target.closest("[data-live-retry]") && source.retry());
document.addEventListener("click", (event) => event.target.closest("[data-live-hold]") && toggleHeld());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  changed(seenAt); // whatever happened meanwhile, once
  draw();
});
setInterval(() => {
  const every = Number(page()?.dataset.every || 0) * 1_000;
  // What only time changes: nothing happens when a worker falls silent.
  if (every && performance.now() - Math.max(readAt, beganAt) > every) changed(now());
  draw();
}, 1_000);
draw();
