// Forms with data-typed: the command that they show says what is typed into them.
const SAFE = /^[\w@%+=:,./-]+$/;

function quoted(text) {
  return SAFE.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

function typed(form) {
  const words = [form.dataset.typed];
  for (const field of form.querySelectorAll("[data-flag]")) {
    const text = field.value.trim();
    if (text) words.push(field.dataset.flag, quoted(text));
  }
  return words.join(" ");
}

document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-typed]");
  if (!form) return;
  const command = typed(form);
  form.querySelector(".command code").textContent = command;
  form.querySelector("[data-copy]").dataset.copy = command;
});
