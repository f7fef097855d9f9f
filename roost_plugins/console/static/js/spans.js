// Times as people say them: the rules of roost_core/shown/spans.py, which the server writes by, so
// that no text changes when a page comes to life. A test compares the two.
const UNITS = [
  [129_600, 86_400, "d"],
  [6_000, 3_600, "h"],
  [100, 60, "m"],
];

function short(number) {
  return number >= 9.95 ? even(number) : fixed(number).replace(/\.0$/, "");
}

// Python rounds halves to even; toFixed away from zero. Whole numbers of seconds give exact halves.
function even(number) {
  const floor = Math.floor(number);
  const rest = number - floor;
  return String(rest === 0.5 ? floor + (floor % 2) : Math.round(number));
}

function fixed(number) {
  const tenths = number * 10;
  return Number.isInteger(tenths * 2) && Math.abs(number * 4) % 1 === 0
    ? (Number(even(tenths)) / 10).toFixed(1)
    : number.toFixed(1);
}

export function span(seconds) {
  for (const [least, unit, name] of UNITS) {
    if (seconds >= least) return `${short(seconds / unit)} ${name}`;
  }
  return `${short(seconds)} s`;
}

// All in seconds from now: below 0 it is past.
export const RELATIVE = {
  ago: (left) => (-left < 1 ? "now" : `${span(Math.floor(-left))} ago`),
  ahead: (left) => (Number(even(left)) <= 0 ? "now" : `in ${span(Number(even(left)))}`),
  for: (left) => span(Math.max(0, Math.floor(-left))),
};
