// The list of events: says when so much happened between two readings that some were never shown.
let newest = first();

function first() {
  return document.querySelector("[data-event]")?.dataset.event ?? null;
}

document.addEventListener("htmx:after:swap", () => {
  const before = newest;
  newest = first();
  if (before === null || newest === before) return;
  // What was the newest is gone: between it and the oldest that is shown there were others.
  const isThere = [...document.querySelectorAll("[data-event]")].some((row) => row.dataset.event === before);
  if (!isThere) document.querySelector("[data-skipped]")?.removeAttribute("hidden");
});
