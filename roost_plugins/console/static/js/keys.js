// The keyboard. The keys are listed in the help of templates/base.html.
import { tinykeys } from "../vendor/tinykeys/tinykeys.js";
import { toggleHeld } from "./live.js";
import { closeOpenMenu, openMenu } from "./opening.js";
import { clear, toggle } from "./rows.js";
import { toggleFull } from "./times.js";

const TYPED_IN = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";

function current() {
  return document.activeElement?.closest("[data-row]") ?? document.querySelector("[data-kept-current]");
}

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (!rows.length) return;
  const place = rows.indexOf(current());
  const next = rows[place < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, place + step))];
  for (const row of document.querySelectorAll("[data-kept-current]")) {
    if (row !== next) row.removeAttribute("data-kept-current");
  }
  next.setAttribute("data-kept-current", "");
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function actions() {
  const menu = current()?.querySelector("[data-menu]") ?? document.querySelector("main [data-menu]");
  if (menu) openMenu(menu);
}

// On the page of a work item its versions are opened, elsewhere a link leads there.
function history() {
  const found = document.querySelector("main [data-history]");
  const list = found?.closest("details");
  if (!list) return go(found);
  list.open = true;
  found.focus({ preventScroll: true });
  list.closest("section").scrollIntoView({ block: "start" });
}

function go(link) {
  link?.click();
}

function isElsewhere(event) {
  return event.target.closest?.(TYPED_IN) || document.querySelector("dialog[open]");
}

// The key after a `g` says where to go, and nothing else.
const SEQUENCE_MS = 1_000;
let isAfterG = false;
let before = { key: "", at: 0 };
addEventListener(
  "keydown",
  (event) => {
    isAfterG = before.key === "g" && event.timeStamp - before.at < SEQUENCE_MS;
    before = { key: isElsewhere(event) ? "" : event.key, at: event.timeStamp };
  },
  true, // before the bindings
);

// A key alone, for readers who are not typing, nor in a dialog.
function alone(action, goes = false) {
  return (event) => {
    if (isElsewhere(event) || isAfterG !== goes) return;
    event.preventDefault();
    action(event);
  };
}

const bindings = {
  "/": alone(() => {
    const box = document.querySelector("[data-search]");
    box?.focus();
    box?.select();
  }),
  "Shift+?": alone(() => document.getElementById("help")?.showModal()),
  "?": alone(() => document.getElementById("help")?.showModal()),
  j: alone(() => move(1)),
  k: alone(() => move(-1)),
  x: alone(() => toggle(current())),
  ".": alone(actions),
  h: alone(history),
  t: alone(toggleFull),
  l: alone(toggleHeld),
  n: alone(() => go(document.querySelector("[data-page=older]"))),
  p: alone(() => go(document.querySelector("[data-page=newer]"))),
  Enter: (event) => {
    if (event.target.matches?.("[data-row]")) go(event.target.querySelector("[data-open]"));
  },
  Escape: (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (closeOpenMenu()) return;
    if (event.target.closest?.(TYPED_IN)) event.target.blur();
    else clear();
  },
};
for (const link of document.querySelectorAll("[data-go]")) {
  bindings[`g ${link.dataset.go}`] = alone(() => go(link), true);
}
tinykeys(window, bindings);

// The row with the focus is the current one, however it came there.
document.addEventListener("focusin", (event) => {
  const row = event.target.closest("[data-row]");
  if (!row) return;
  for (const other of document.querySelectorAll("[data-kept-current]")) {
    if (other !== row) other.removeAttribute("data-kept-current");
  }
  row.setAttribute("data-kept-current", "");
});
