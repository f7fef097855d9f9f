// The versions of a work item: fetched when they are opened, and again once there are newer ones.
// A page that is read again every second is not to fetch them as often: they can be many.
const PAUSE_MS = 2_000;
const SHARE = 5; // at most this part of the time is spent on it

let asked = ""; // up to which version was asked for
let askedAt = -Infinity;
let took = 0;
let timer = null;

function box() {
  return document.querySelector("details[data-history-of]");
}

function look() {
  const list = box();
  if (timer !== null || !list?.open || document.hidden || list.dataset.historyOf === asked) return;
  const wait = Math.max(0, askedAt + Math.max(PAUSE_MS, took * SHARE) - performance.now());
  timer = setTimeout(fetchRows, asked === "" ? 0 : wait);
}

function fetchRows() {
  timer = null;
  const list = box();
  if (!list?.open) return;
  asked = list.dataset.historyOf;
  askedAt = performance.now();
  list.dispatchEvent(new CustomEvent("roost:fetch"));
}

function openAsAddressed() {
  const list = box();
  if (location.hash === "#history" && list) list.open = true;
}

document.addEventListener("toggle", look, true);
document.addEventListener("visibilitychange", look);
document.addEventListener("htmx:after:swap", look);
document.addEventListener("htmx:finally:request", (event) => {
  const { sourceElement, response } = event.detail.ctx;
  if (sourceElement !== box()) return;
  took = performance.now() - askedAt;
  if (!response || response.status >= 400) asked = "none";
});
addEventListener("hashchange", openAsAddressed);
openAsAddressed();
