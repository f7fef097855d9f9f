// One stream of server-sent events, read with fetch rather than EventSource: that tells why it
// failed (signed out, or no answer), waits as we want before it tries again, and resumes by the id
// of the last event that was heard. Runs in a page and in a worker.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
// The console writes every 5 s at least; nothing for this long means that it is gone.
const SILENCE_MS = 12_000;
// Sign-in has ended: another tab may sign in again.
const SIGNED_OUT_PAUSE_MS = 5_000;

export class Stream {
  #url;
  #onMessage;
  #onState;
  #lastId = null;
  #abort = null;
  #timer = null;
  #watchdog = null;
  #pause = FIRST_PAUSE_MS;

  // onMessage({event, data}); onState(state, {retryAt}): connecting, live, lost or signed-out.
  // since: from when on to hear of what has happened before the stream began; ms of the server's clock.
  constructor({ url, since, onMessage, onState }) {
    this.#url = since ? `${url}?since=${since}` : url;
    this.#onMessage = onMessage;
    this.#onState = onState;
  }

  get isOpen() {
    return this.#abort !== null || this.#timer !== null;
  }

  open() {
    if (this.isOpen) return;
    this.#onState("connecting", {});
    this.#connect();
  }

  // Stop, and know where to continue.
  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watchdog);
    this.#timer = null;
    const abort = this.#abort;
    this.#abort = null;
    abort?.abort();
    this.#pause = FIRST_PAUSE_MS;
  }

  // Do not wait any longer.
  retry() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#pause = FIRST_PAUSE_MS;
    this.#connect();
  }

  async #connect() {
    const abort = new AbortController();
    this.#abort = abort;
    let pause = null;
    let state = "lost";
    try {
      this.#watch(abort);
      const headers = { Accept: "text/event-stream" };
      if (this.#lastId !== null) headers["Last-Event-ID"] = this.#lastId;
      const answer = await fetch(this.#url, { headers, cache: "no-store", signal: abort.signal, redirect: "error" });
      if (answer.status === 401 || answer.status === 403) {
        state = "signed-out";
        pause = SIGNED_OUT_PAUSE_MS;
      } else if (answer.ok) {
        const isOurs = await this.#read(answer.body.getReader(), abort);
        if (!isOurs) {
          state = "signed-out";
          pause = SIGNED_OUT_PAUSE_MS;
        }
      }
    } catch {
      // Lost: what follows is the same whatever the cause.
    }
    if (this.#abort !== abort) return; // closed meanwhile
    abort.abort();
    this.#abort = null;
    clearTimeout(this.#watchdog);
    // Not all tabs of all browsers at the same moment.
    pause ??= this.#pause * (0.8 + 0.4 * Math.random());
    this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * 2);
    this.#onState(state, { retryAt: Date.now() + pause });
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#connect();
    }, pause);
  }

  #watch(abort) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
  }

  // Returns false if the console does not know us.
  async #read(reader, abort) {
    const decoder = new TextDecoder();
    let text = "";
    let isLive = false;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return true;
      this.#watch(abort);
      text += decoder.decode(value, { stream: true });
      const blocks = text.split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const message of blocks.map((block) => this.#parsed(block))) {
        if (message?.event === "signed-out") return false;
        if (!isLive) this.#onState("live", {});
        isLive = true;
        if (message) this.#onMessage(message);
      }
    }
  }

  #parsed(block) {
    let event = "message";
    const data = [];
    for (const line of block.split(/\r?\n/)) {
      const colon = line.indexOf(":");
      if (colon === 0) continue; // a comment
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "event") event = value;
      else if (name === "data") data.push(value);
      else if (name === "id") this.#lastId = value;
    }
    if (!data.length) return null;
    this.#pause = FIRST_PAUSE_MS; // it works: the next loss starts afresh
    try {
      return { event, data: JSON.parse(data.join("\n")) };
    } catch {
      return null; // nothing that we know
    }
  }
}
