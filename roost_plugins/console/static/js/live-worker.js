// Holds the one stream for all tabs of this browser: with one each, the seventh tab would hang,
// because a browser opens six connections to a host. While every tab is hidden there is no stream.
import { Stream } from "./stream.js";

const GRACE_MS = 5_000; // a reader who only changes tabs does not cost a new connection
const KEPT = 200;
const tabs = new Map(); // port -> whether it can be seen
// The newest of what has happened, for tabs that were read before and listen only now.
const kept = [];
let keptSince = null; // ms of the server's clock; what happened before is not known here
let stream = null;
let state = { state: "connecting" };
let pulse = null;
let isGone = false;
let closing = null;

function tell(message) {
  for (const [port, isSeen] of tabs) if (isSeen) port.postMessage(message);
}

function keep(data) {
  kept.push(...[data].flat());
  while (kept.length > KEPT) keptSince = Date.parse(kept.shift().at) || Date.now();
}

function catchUp(port, since) {
  if (since < keptSince) port.postMessage({ type: "happened", data: { work: null, at: new Date(since).toISOString() } });
  for (const data of kept) {
    if (!(Date.parse(data.at) < since)) port.postMessage({ type: "happened", data });
  }
}

function started(url, since) {
  keptSince = since;
  return new Stream({
    url,
    since,
    onState(name, more) {
      state = { state: name, ...more };
      if (name === "live") isGone = false;
      tell({ type: "state", ...state });
    },
    onMessage({ event, data }) {
      if (event === "pulse") pulse = { ...data, heardAt: Date.now() };
      if (event === "gone" || event === "back") isGone = event === "gone";
      if (event === "happened") keep(data);
      tell({ type: event, data });
    },
  });
}

function look() {
  const isSeen = [...tabs.values()].some(Boolean);
  clearTimeout(closing);
  closing = null;
  if (isSeen) stream.open();
  else closing = setTimeout(() => stream.close(), GRACE_MS);
}

onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data.type === "leaves") tabs.delete(port);
    if (data.type === "seen" || data.type === "hidden") {
      const isFirst = stream === null;
      stream ??= started(data.url, data.since);
      const isNew = data.type === "seen" && !tabs.get(port);
      tabs.set(port, data.type === "seen");
      if (isNew) {
        // A new page may have signed in again, or be back from a pause.
        if (state.state === "signed-out" || state.state === "lost") stream.retry();
        if (stream.isOpen) port.postMessage({ type: "state", ...state });
        if (pulse) port.postMessage({ type: "pulse", data: pulse });
        if (isGone) port.postMessage({ type: "gone", data: {} });
        if (data.lock && !isFirst) catchUp(port, data.since);
      }
      // A tab that crashes cannot say that it leaves: its lock is free then.
      if (data.lock && navigator.locks) {
        navigator.locks.request(data.lock, () => {
          tabs.delete(port);
          look();
        });
      }
    }
    if (data.type === "retry") stream?.retry();
    if (stream) look();
  };
};
