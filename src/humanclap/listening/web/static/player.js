// One sound of a trial: play, pause, go on; seek, but not beyond what was heard before its end.

const STEPS_S = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 };

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

export class Player {
  /** root holds button, bar and clock. onStart, onEnd, onFailure are called with the player. */
  constructor(root, { say, hint, mustPlay, onStart, onEnd, onFailure }) {
    Object.assign(this, { root, say, hint, mustPlay, onStart, onEnd, onFailure });
    this.audio = new Audio();
    this.button = root.querySelector(".play");
    this.words = root.querySelector(".play-words");
    this.bar = root.querySelector("input");
    this.clock = root.querySelector(".time");
    this.sound = null; // { plays, heard } of the sound here, kept with its trial
    this.furthest = 0; // seconds heard so far, from the start
    this.listen();
  }

  listen() {
    const { audio, bar } = this;
    for (const name of ["loadedmetadata", "seeked"]) {
      audio.addEventListener(name, () => this.showPosition());
    }
    audio.addEventListener("timeupdate", () => {
      this.furthest = Math.max(this.furthest, audio.currentTime);
      this.showPosition();
    });
    audio.addEventListener("ended", () => {
      this.sound.heard = true;
      this.stopped();
      this.onEnd(this);
    });
    audio.addEventListener("pause", () => {
      if (!audio.ended) this.stopped(); // by the button, or headphones unplugged, or a call
    });
    audio.addEventListener("error", () => {
      if (this.ready()) this.onFailure(this);
    });
    this.button.addEventListener("click", () => this.toggle());
    bar.addEventListener("input", () => this.seek(Number(bar.value)));
    bar.addEventListener("keydown", (event) => {
      const places = { Home: 0, End: audio.duration };
      const to = places[event.key] ?? audio.currentTime + STEPS_S[event.key];
      if (Number.isNaN(to)) return;
      event.preventDefault();
      this.seek(to);
    });
  }

  /** Forget the last sound; the next one is on its way. */
  expect(sound) {
    this.sound = sound;
    this.furthest = 0;
    this.audio.removeAttribute("src");
    this.stopped();
    this.words.textContent = this.say("loading");
  }

  load(address) {
    this.audio.src = address;
    this.stopped();
  }

  ready() {
    return this.sound !== null && this.audio.getAttribute("src") !== null;
  }

  playing() {
    return this.ready() && !this.audio.paused;
  }

  begun() {
    return this.audio.currentTime > 0 && !this.audio.ended;
  }

  pause() {
    this.audio.pause();
  }

  /** Play, pause, go on playing; what starts at the beginning counts as a play. */
  toggle() {
    if (!this.ready()) return;
    if (this.playing()) {
      this.pause();
      return;
    }
    const fresh = !this.begun();
    if (fresh) this.audio.currentTime = 0;
    const { sound } = this;
    this.onStart(this);
    this.audio.play().then(
      () => {
        if (fresh) sound.plays += 1;
        this.button.classList.add("playing");
        this.words.textContent = this.say("pause");
      },
      () => this.stopped(),
    );
  }

  stopped() {
    const idle = this.sound.plays ? "play_again" : "play";
    this.button.classList.remove("playing");
    this.button.setAttribute("aria-disabled", String(!this.ready()));
    this.words.textContent = this.say(this.ready() && this.begun() ? "play_on" : idle);
    this.root.classList.toggle("heard", this.sound.heard);
    this.showPosition();
  }

  showPosition() {
    const { audio, bar } = this;
    const length = this.ready() && Number.isFinite(audio.duration) ? audio.duration : 0;
    const at = length ? audio.currentTime : 0;
    const values = { at: at.toFixed(0), length: length.toFixed(0) };
    bar.disabled = !length;
    bar.max = length || 1;
    bar.value = at;
    bar.setAttribute("aria-valuetext", this.say("position_at", values));
    this.clock.textContent = length ? `${clock(at)} / ${clock(length)}` : "";
  }

  /** To a place in the sound; before it was heard to its end, no further than was heard. */
  seek(seconds) {
    const { audio } = this;
    if (!this.ready() || !Number.isFinite(audio.duration)) return;
    const most = this.sound.heard || !this.mustPlay ? audio.duration : this.furthest;
    if (seconds > most) this.hint("seek_heard");
    audio.currentTime = Math.min(Math.max(seconds, 0), most);
    if (audio.paused) this.stopped();
  }
}
