// What a tab among others tells: its icon, and a mark before its title when it is not live.
const MARK = "○ ";
const NOT_LIVE = ["lost", "gone", "signed-out", "stale"];

export function sayTitle(state) {
  const isLost = NOT_LIVE.includes(state);
  const bare = document.title.startsWith(MARK) ? document.title.slice(MARK.length) : document.title;
  const title = isLost ? MARK + bare : bare;
  if (document.title !== title) document.title = title;
  const icon = document.querySelector("link[rel=icon]");
  const mood = isLost ? "lost" : document.getElementById("main")?.dataset.mood;
  const href = icon?.dataset[mood];
  if (href && icon.getAttribute("href") !== href) icon.setAttribute("href", href);
}
