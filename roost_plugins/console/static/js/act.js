// A verb on many. While it is under way no event need tell of it: the page is read again every second
// while it has data-poll and can be seen. And what is pressed most often has the focus, unless it
// destroys something; the page stays at its top, where it says what it is for.
const EVERY_MS = 1_000;

setInterval(() => {
  if (document.hidden || !document.querySelector("main [data-poll]")) return;
  document.body.dispatchEvent(new CustomEvent("roost:changed"));
}, EVERY_MS);

document.querySelector("main [data-focus]")?.focus({ preventScroll: true });
