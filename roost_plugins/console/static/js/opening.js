// Dialogs, menus and forms: what opens, closes, and stays as it is when the page changes below it.

// -- dialogs: data-opens="ID", data-closes -----------------------------------------------------
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    for (const menu of document.querySelectorAll("details[data-menu][open]")) menu.open = false;
    document.getElementById("side")?.hidePopover?.();
    document.getElementById(opener.dataset.opens)?.showModal();
  }
  const closer = event.target.closest("[data-closes]");
  if (closer) closer.closest("dialog")?.close();
  // The dialog itself is what was hit where none of its content is: its backdrop.
  if (event.target instanceof HTMLDialogElement) event.target.close();
  event.target.closest("[data-dismiss]")?.closest(".banner")?.setAttribute("hidden", "");
});

// -- menus: one is open at a time, and none when the reader is elsewhere -------------------------
function closeMenus(except) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (menu !== except) menu.open = false;
  }
}

document.addEventListener("click", (event) => closeMenus(event.target.closest("details[data-menu]")));
document.addEventListener("focusin", (event) => closeMenus(event.target.closest("details[data-menu]")));

document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.matches("details[data-menu][open]")) {
      const list = event.target.querySelector(".menu-list");
      // It ends where its button does, unless it would leave the window there.
      list.removeAttribute("data-kept-left");
      if (list.getBoundingClientRect().left < 0) list.setAttribute("data-kept-left", "");
      list.scrollIntoView({ block: "nearest" });
    }
  },
  true, // it does not bubble
);

export function openMenu(menu) {
  menu.open = true;
  menu.querySelector(".menu-item:not(:disabled)")?.focus();
}

export function closeOpenMenu() {
  const menu = document.querySelector("details[data-menu][open]");
  if (!menu) return false;
  menu.open = false;
  menu.querySelector("summary").focus();
  return true;
}

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("details[data-menu][open]");
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!menu || !step) return;
  const items = [...menu.querySelectorAll(".menu-item:not(:disabled)")];
  const place = items.indexOf(document.activeElement);
  items.at((place + step + items.length) % items.length)?.focus();
  event.preventDefault();
});

// -- forms: what was typed is not morphed away ---------------------------------------------------
document.addEventListener("input", (event) => {
  event.target.closest("form")?.setAttribute("data-kept-dirty", "");
});
document.addEventListener("reset", (event) => event.target.removeAttribute("data-kept-dirty"));
// A form is sent once, however often it is clicked.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.keptSent !== undefined) event.preventDefault();
  form.dataset.keptSent = "";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-kept-sent]")) delete form.dataset.keptSent;
});

// -- branches of a tree that were open are opened again in the next version of it -----------------
const opened = new Set();
document.addEventListener(
  "toggle",
  (event) => {
    const at = event.target.dataset?.at;
    if (at === undefined || !event.target.closest("[data-tree]")) return;
    if (event.target.open) opened.add(at);
    else opened.delete(at);
  },
  true, // it does not bubble
);
document.addEventListener("htmx:after:swap", () => {
  for (const branch of document.querySelectorAll("[data-tree] details[data-at]:not([open])")) {
    if (opened.has(branch.dataset.at)) branch.open = true;
  }
});
