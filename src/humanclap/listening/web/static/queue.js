// Answers wait in localStorage until the server has them: none is lost, none counts twice.

const RETRY_FIRST_MS = 1000;
const RETRY_MOST_MS = 15000;
const TIMEOUT_MS = 15000;
const GONE = new Set([400, 404, 409, 413, 415, 422]); // sending the same again cannot help

/** A random id for an answer, the same at every retry. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function safely(action, otherwise) {
  try {
    return action();
  } catch {
    return otherwise;
  }
}

/** Storage that falls back to memory where the browser allows none, or holds what is unreadable. */
export class Store {
  constructor(prefix) {
    this.prefix = prefix;
    this.memory = new Map();
  }

  set(name, value) {
    this.memory.set(name, value);
    safely(() => localStorage.setItem(this.prefix + name, JSON.stringify(value)));
  }

  get(name) {
    const stored = safely(() => JSON.parse(localStorage.getItem(this.prefix + name)));
    return stored ?? this.memory.get(name) ?? null;
  }

  remove(name) {
    this.memory.delete(name);
    safely(() => localStorage.removeItem(this.prefix + name));
  }

  names(start) {
    const keys = safely(() => Object.keys(localStorage), []);
    const stored = keys.filter((key) => key.startsWith(this.prefix));
    const names = new Set([...this.memory.keys(), ...stored.map((key) => key.slice(this.prefix.length))]);
    return [...names].filter((name) => name.startsWith(start));
  }
}

export class AnswerQueue {
  /** onElsewhere(trialId): another tab has answered it. onOver(): the server wants no more. */
  constructor({ store, url, csrf, onChange = () => {}, onElsewhere = () => {}, onOver = () => {} }) {
    this.store = store;
    this.url = url;
    this.csrf = csrf;
    this.onChange = onChange;
    this.onOver = onOver;
    this.failing = false;
    this.refused = 0;
    this.busy = false;
    this.wait = RETRY_FIRST_MS;
    window.addEventListener("online", () => this.flush());
    // the queue is the listener's: every tab sees what another one puts there or has sent
    window.addEventListener("storage", ({ key, newValue }) => {
      if (key === null || !key.startsWith(`${store.prefix}answer:`)) return;
      if (newValue !== null) onElsewhere(JSON.parse(newValue).trial_id);
      this.onChange();
    });
  }

  add(answer) {
    this.store.set(`answer:${answer.answer_id}`, { ...answer, made_at: Date.now() });
    this.flush();
  }

  pending() {
    return this.store
      .names("answer:")
      .map((name) => this.store.get(name))
      .filter((answer) => answer !== null)
      .sort((a, b) => a.made_at - b.made_at);
  }

  /** Send what waits, oldest first; try again later where the server cannot be reached. */
  async flush() {
    if (this.busy) return;
    this.busy = true;
    clearTimeout(this.timer);
    try {
      for (let answer = this.pending()[0]; answer; answer = this.pending()[0]) {
        this.onChange();
        if (!(await this.send(answer))) {
          this.failing = true;
          this.timer = setTimeout(() => this.flush(), this.wait);
          this.wait = Math.min(2 * this.wait, RETRY_MOST_MS);
          return;
        }
        this.failing = false;
        this.wait = RETRY_FIRST_MS;
      }
    } finally {
      this.busy = false;
      this.onChange();
    }
  }

  /** True where the server has dealt with the answer for good. */
  async send({ made_at: madeAt, ...answer }) {
    const waited = Math.max(0, Date.now() - madeAt) / 1000;
    let status = 0;
    let over = false;
    try {
      const response = await fetch(this.url, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": this.csrf },
        body: JSON.stringify({ ...answer, waited_s: waited }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      status = response.status;
      if (response.ok) ({ over } = await response.json());
    } catch {
      return false;
    }
    const name = `answer:${answer.answer_id}`;
    if (status === 200 || status === 201) {
      this.store.remove(name);
      if (over) this.onOver();
      return true;
    }
    if (status === 401 || status === 403) this.refused += 1; // kept; a reload gives a new token
    if (!GONE.has(status)) return false;
    if (status !== 409 || answer.revises) this.refused += 1; // 409: another answer stands
    this.store.set(`refused:${answer.answer_id}`, { ...answer, status });
    this.store.remove(name);
    return true;
  }
}
