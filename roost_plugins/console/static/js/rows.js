// Rows that are selected, for acting on several at once: checkboxes with data-pick, and the bar
// with data-bulk that says how many.
import { say } from "./said.js";

const selected = new Set();
let last = null; // the row that a Shift-click reaches from

function boxes() {
  return [...document.querySelectorAll("[data-pick]")];
}

function draw() {
  for (const box of boxes()) {
    const isOn = selected.has(box.value);
    if (box.checked !== isOn) box.checked = isOn;
    const row = box.closest("[data-row]");
    if (isOn) row?.setAttribute("data-kept-selected", "");
    else row?.removeAttribute("data-kept-selected");
  }
  for (const all of document.querySelectorAll("[data-pick-all]")) {
    all.checked = selected.size > 0 && selected.size === boxes().length;
    all.indeterminate = selected.size > 0 && !all.checked;
  }
  for (const bar of document.querySelectorAll("[data-bulk]")) {
    bar.hidden = selected.size === 0;
    bar.querySelector("[data-bulk-count]").textContent = String(selected.size);
  }
}

function set(box, isOn) {
  if (isOn) selected.add(box.value);
  else selected.delete(box.value);
}

export function toggle(row) {
  const box = row?.querySelector("[data-pick]");
  if (!box) return;
  set(box, !selected.has(box.value));
  last = box.value;
  draw();
  say(`${selected.size} selected`);
}

export function clear() {
  const had = selected.size > 0;
  selected.clear();
  draw();
  return had;
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-bulk-clear]")) clear();
  const box = event.target.closest("[data-pick]");
  if (!box) return;
  const all = boxes();
  const ends = [all.findIndex((one) => one.value === last), all.indexOf(box)].sort((a, b) => a - b);
  const range = event.shiftKey && ends[0] >= 0 ? all.slice(ends[0], ends[1] + 1) : [box];
  for (const one of range) set(one, box.checked);
  last = box.value;
  draw();
});
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-pick-all]")) return;
  for (const box of boxes()) set(box, event.target.checked);
  draw();
});
document.addEventListener("htmx:after:swap", () => {
  // Nobody should act on what is no longer to be seen.
  const here = new Set(boxes().map((box) => box.value));
  const gone = [...selected].filter((id) => !here.has(id));
  for (const id of gone) selected.delete(id);
  draw();
  if (gone.length) say(`${gone.length} selected left the list`);
});
