// The server's clock, as far as this page knows it.
//
// Every message that names the server's time was under way for a while, so each gives an offset
// that is too small by just that; the largest of the last few is the best.
const SAMPLES = 12;
let samples = [];

export function heard(at) {
  const time = Date.parse(at);
  if (Number.isNaN(time)) return;
  const sample = time - Date.now();
  // This computer's clock was set: what was measured before is worthless.
  if (samples.length && Math.abs(sample - samples.at(-1)) > 30_000) samples = [];
  samples = [...samples.slice(1 - SAMPLES), sample];
}

export function now() {
  return Date.now() + (samples.length ? Math.max(...samples) : 0);
}

heard(document.documentElement.dataset.now);
