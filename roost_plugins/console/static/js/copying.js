// Buttons with data-copy put that text on the clipboard.
import { say } from "./said.js";

const SHOWN_MS = 1500;

async function put(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Over plain HTTP and not on this machine: the old way is all there is.
  const field = document.createElement("textarea");
  field.value = text;
  field.setAttribute("readonly", "");
  field.className = "sr";
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus();
  if (!done) throw new Error("the browser refuses");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await put(button.dataset.copy);
  } catch {
    say("It could not be copied");
    return;
  }
  button.dataset.keptCopied = "";
  say("Copied");
  setTimeout(() => delete button.dataset.keptCopied, SHOWN_MS);
});
