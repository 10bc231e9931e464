// Clips are fetched before their turn, so that a lost connection does not stop a listener.

const RETRY_MS = 2000;

export class Clips {
  constructor({ url, ahead, onFailure, onGone, onAway }) {
    this.url = url;
    this.ahead = ahead;
    this.onFailure = onFailure;
    this.onGone = onGone; // a clip that the study leaves out
    this.onAway = onAway; // the session goes on in another browser
    this.form = document.createElement("audio").canPlayType("audio/flac") ? "flac" : "wav";
    this.ready = new Map();
    this.wanted = [];
    this.waiting = new Map();
    this.running = false;
  }

  /** What will be needed, in order; the first ones are fetched, then those that may be gone back to. */
  expect(ids, back = []) {
    this.wanted = [...ids.slice(0, this.ahead), ...back];
    for (const [id, address] of this.ready) {
      if (!ids.includes(id) && !back.includes(id)) {
        URL.revokeObjectURL(address);
        this.ready.delete(id);
      }
    }
    this.run();
  }

  /** The clip's address, once it is here. */
  get(id) {
    if (this.ready.has(id)) return Promise.resolve(this.ready.get(id));
    return new Promise((resolve) => this.waiting.set(id, resolve));
  }

  /** The browser cannot decode a clip: take WAV from now on. */
  useWav(id) {
    if (this.form === "wav") return false;
    this.form = "wav";
    this.ready.delete(id);
    this.run();
    return true;
  }

  async run() {
    if (this.running) return;
    this.running = true;
    for (let id = this.next(); id; id = this.next()) {
      try {
        const response = await fetch(`${this.url}${id}.${this.form}`);
        if (response.status === 410) {
          this.drop(id);
          continue;
        }
        if (response.status === 401) this.onAway();
        if (!response.ok) throw new Error(String(response.status));
        const address = URL.createObjectURL(await response.blob());
        this.ready.set(id, address);
        this.waiting.get(id)?.(address);
        this.waiting.delete(id);
      } catch {
        if (this.waiting.size) this.onFailure();
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    this.running = false;
  }

  drop(id) {
    this.wanted = this.wanted.filter((wanted) => wanted !== id);
    this.waiting.delete(id);
    this.onGone(id);
  }

  next() {
    return this.wanted.find((id) => !this.ready.has(id));
  }
}
