// Where a page hears what happens: the worker that all tabs share, or, where browsers have no such
// workers (Chrome on Android), a stream of its own while it can be seen.
import { Stream } from "./stream.js";

const root = document.documentElement.dataset.root;
const URL_OF_STREAM = `${root}/live`;
// What happens after a page was read and before it listens is not lost: it is told from here on.
// Reading takes a moment, and clocks are not exact.
const MARGIN_MS = 2_000;
const since = () => (Date.parse(document.getElementById("main")?.dataset.now) || 0) - MARGIN_MS;

function shared(take, failed) {
  // Pages of another version talk to another worker.
  const name = `roost-${document.documentElement.dataset.version}`;
  const worker = new SharedWorker(new URL("./live-worker.js", import.meta.url), { type: "module", name });
  worker.addEventListener("error", failed, { once: true });
  const { port } = worker;
  port.onmessage = ({ data }) => take(data);
  // Held for as long as the page lives; the worker waits for it to learn that the page is gone.
  const lock = navigator.locks ? `roost-tab-${crypto.randomUUID?.() ?? Math.random()}` : null;
  let isTold = false;
  const tell = () => {
    port.postMessage({
      type: document.hidden ? "hidden" : "seen",
      url: URL_OF_STREAM,
      since: since(),
      lock: isTold ? null : lock,
    });
    isTold = true;
  };
  if (lock) {
    navigator.locks.request(lock, () => {
      tell();
      return new Promise(() => {}); // never: it is held
    });
  }
  document.addEventListener("visibilitychange", tell);
  addEventListener("pagehide", () => port.postMessage({ type: "leaves" }));
  addEventListener("pageshow", (event) => event.persisted && tell());
  if (!lock) tell();
  return { retry: () => port.postMessage({ type: "retry" }) };
}

function own(take) {
  const stream = new Stream({
    url: URL_OF_STREAM,
    since: since(),
    onState: (state, more) => take({ type: "state", state, ...more }),
    onMessage: ({ event, data }) => take({ type: event, data }),
  });
  const look = () => (document.hidden ? stream.close() : stream.open());
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => event.persisted && look());
  look();
  return { retry: () => stream.retry() };
}

export function connect(take) {
  if (!("SharedWorker" in window)) return own(take);
  let source = null;
  // Some browsers have such workers, but none of this kind.
  const failed = () => (source = own(take));
  source = shared(take, failed);
  return { retry: () => source.retry() };
}
