// Every <time data-time="ago|ahead|for">: relative by the server's clock, the exact time on hover in
// one zone, the reader's; `t` shows all in full.
import { now } from "./clock.js";
import { RELATIVE } from "./spans.js";

const KEY = "roost-times";
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
// Sweden writes dates as ISO 8601 does; 24 hours everywhere.
const EXACT = new Intl.DateTimeFormat("sv-SE", {
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
let inFull = stored();

function stored() {
  try {
    return localStorage.getItem(KEY) === "full";
  } catch {
    return false;
  }
}

export function exact(time) {
  return EXACT.format(time);
}

function draw(element) {
  const at = Date.parse(element.dateTime);
  if (Number.isNaN(at)) return;
  const full = exact(at);
  const relative = RELATIVE[element.dataset.time];
  const text = inFull || !relative ? full : relative((at - now()) / 1000);
  if (element.textContent !== text) element.textContent = text;
  const title = inFull ? "" : `${full} ${ZONE}`;
  if (element.title !== title) element.title = title;
}

export function drawAll() {
  for (const element of document.querySelectorAll("time[data-time]")) draw(element);
}

export function toggleFull() {
  inFull = !inFull;
  try {
    localStorage.setItem(KEY, inFull ? "full" : "relative");
  } catch {
    // It holds for this page, then.
  }
  drawAll();
}

// A hidden tab draws nothing; one second is the finest that anything is told in.
setInterval(() => document.hidden || drawAll(), 1000);
document.addEventListener("visibilitychange", () => document.hidden || drawAll());
document.addEventListener("htmx:after:swap", drawAll);
for (const place of document.querySelectorAll("[data-zone]")) place.textContent = ZONE;
drawAll();
