// One trial at a time: hear the clip to its end, answer, go on; back to the last answer, if wished.

import { AnswerQueue, Store, newId } from "./queue.js";
import { Clips } from "./clips.js";

const DIGITS_MS = 1000;
const plan = JSON.parse(document.getElementById("plan").textContent);
const $ = (id) => document.getElementById(id);
const say = (name, values = {}) =>
  plan.wording[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

const store = new Store(`humanclap:${plan.queue}:`);
const audio = new Audio();
const noise = new Audio();
const scales = [...document.querySelectorAll("fieldset.scale")];
const queue = new AnswerQueue({
  store,
  url: plan.answers_url,
  csrf: plan.csrf,
  onChange: showNetwork,
  onElsewhere: (id) => {
    forgetLast(); // the answer given last is now another tab's
    leaveOut(id);
  },
  onOver: () => window.location.assign(plan.next_url),
});
const clips = new Clips({
  url: plan.clip_url,
  ahead: plan.clips_ahead,
  onFailure: () => hint("sound_failed"),
  onGone: leaveOut,
  onAway: () => window.location.assign(plan.next_url),
});

const done = new Set(queue.pending().map((answer) => answer.trial_id));
let left = plan.trials.filter((trial) => !done.has(trial.trial_id));
let last = lastGiven(); // the answer that may be changed: { trial, answer_id, values, state }
let revising = false;
let trial = null;
let state = null; // { plays, heard, elapsed_ms, values } of this trial, kept over a reload
let shownAt = 0;
let furthest = 0; // seconds of the clip heard so far, from its start
let typed = "";
let typedAt = 0;
let ended = false;

/** What was answered last: it may still wait here, else the server knows. */
function lastGiven() {
  const waiting = queue.pending().at(-1);
  const known = waiting ?? plan.last;
  const item = [...plan.trials, plan.last].find((one) => one && one.trial_id === known?.trial_id);
  if (!item) return null;
  const elapsed_ms = 1000 * known.trial_s;
  const given = { plays: known.play_count, heard: true, elapsed_ms, values: known.values };
  return { trial: item, answer_id: known.answer_id, values: known.values, state: given };
}

function hint(name, values) {
  $("hint").textContent = name ? say(name, values) : "";
}

function showNetwork() {
  const count = queue.pending().length;
  const box = $("network");
  let text = count ? say("saving") : say("saved");
  if (queue.failing && count) text = say("offline", { count });
  if (queue.refused) text = say("refused");
  box.classList.toggle("waiting", (queue.failing && count > 0) || queue.refused > 0);
  if (box.textContent !== text) box.textContent = text;
  if (ended) finish();
}

/** Nothing left to hear: wait for the last answers to arrive, then go on. */
function finish() {
  ended = true;
  const count = queue.pending().length;
  $("card").hidden = true;
  if (!count && !queue.refused) {
    store.names("trial:").forEach((name) => store.remove(name));
    window.location.assign(plan.next_url);
    return;
  }
  $("rest").hidden = false;
  $("rest-text").textContent = count ? say("sending_rest", { count }) : say("refused");
}

function forgetLast() {
  last = null;
  $("back").hidden = true;
  if (!revising) return;
  revising = false;
  audio.pause();
  show();
}

/** Go on without a sound that cannot be played, or that another tab has answered. */
function leaveOut(id) {
  left = left.filter((item) => item.trial_id !== id);
  const here = trial?.trial_id === id;
  if (last?.trial.trial_id === id) forgetLast();
  if (here) {
    audio.pause();
    show();
  }
}

function answerable() {
  return !plan.must_play_to_end || state.heard;
}

function enable() {
  for (const scale of scales) scale.disabled = !answerable();
  update();
}

/** What is still missing before the listener can go on; empty where nothing is. */
function missing() {
  if (!answerable()) return say("not_heard");
  const count = unanswered().length;
  if (!count) return "";
  return count === 1 && scales.length === 1 ? say("not_answered") : say("answers_missing", { count });
}

/** The button goes on, or looks inactive and says why. */
function update() {
  const text = missing();
  const ends = !revising && left.length === 1;
  $("next").textContent = say(ends ? "finish" : "next");
  $("next").setAttribute("aria-disabled", String(text !== ""));
  $("missing").textContent = text || (ends ? say("last_final") : "");
}

function keep() {
  state.elapsed_ms += performance.now() - shownAt;
  shownAt = performance.now();
  if (!revising) store.set(`trial:${trial.trial_id}`, state);
}

function fill(given) {
  $("answer").reset();
  for (const [question, value] of Object.entries(given ?? {})) {
    const field = $("answer").elements[question];
    if (field) field.value = String(value);
  }
}

async function show() {
  trial = revising ? last.trial : left[0];
  const order = revising ? [trial, ...left] : left;
  clips.expect(order.map((item) => item.trial_id), last ? [last.trial.trial_id] : []);
  if (!trial) {
    finish();
    return;
  }
  state = revising ? { ...last.state } : store.get(`trial:${trial.trial_id}`);
  state ??= { plays: 0, heard: false, elapsed_ms: 0 };
  shownAt = performance.now();
  furthest = 0;
  $("heading").textContent = say("trial_of", { number: trial.number, total: plan.total });
  $("progress").max = plan.total;
  $("progress").value = trial.number - 1;
  $("practice").hidden = !trial.practice;
  $("revising").hidden = !revising;
  $("back").hidden = revising || !last;
  $("caption").textContent = trial.text;
  fill(state.values);
  audio.removeAttribute("src");
  hint("");
  stopped();
  enable();
  busy("loading");
  const current = trial;
  const address = await clips.get(current.trial_id);
  if (trial !== current) return;
  audio.src = address;
  stopped();
  if (!revising) hint(answerable() ? "rate_now" : "listen_first");
}

function busy(name) {
  $("play").setAttribute("aria-disabled", "true");
  $("play-text").textContent = say(name);
}

function ready() {
  return trial !== null && audio.getAttribute("src") !== null;
}

function begun() {
  return audio.currentTime > 0 && !audio.ended;
}

function stopped() {
  const idle = state.plays ? "play_again" : "play";
  $("play").classList.remove("playing");
  $("play").setAttribute("aria-disabled", String(!ready()));
  $("play-text").textContent = say(ready() && begun() ? "play_on" : idle);
  showPosition();
}

/** Play, pause, go on playing; what starts at the beginning counts as a play. */
function play() {
  if (!ready()) return;
  if (!audio.paused) {
    audio.pause();
    return;
  }
  const fresh = !begun();
  if (fresh) audio.currentTime = 0;
  noise.pause();
  audio.play().then(
    () => {
      if (fresh) state.plays += 1;
      $("play").classList.add("playing");
      $("play-text").textContent = say("pause");
      keep();
    },
    () => stopped(),
  );
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

function showPosition() {
  const length = ready() && Number.isFinite(audio.duration) ? audio.duration : 0;
  const at = length ? audio.currentTime : 0;
  const values = { at: at.toFixed(0), length: length.toFixed(0) };
  $("position").disabled = !length;
  $("position").max = length || 1;
  $("position").value = at;
  $("position").setAttribute("aria-valuetext", say("position_at", values));
  $("time").textContent = length ? `${clock(at)} / ${clock(length)}` : "";
}

/** To a place in the clip; before it was heard to its end, no further than was heard. */
function seek(seconds) {
  if (!ready() || !Number.isFinite(audio.duration)) return;
  const most = answerable() ? audio.duration : furthest;
  if (seconds > most) hint("seek_heard");
  audio.currentTime = Math.min(Math.max(seconds, 0), most);
  if (audio.paused) stopped();
}

for (const name of ["loadedmetadata", "seeked"]) audio.addEventListener(name, showPosition);
audio.addEventListener("timeupdate", () => {
  furthest = Math.max(furthest, audio.currentTime);
  showPosition();
});
audio.addEventListener("ended", () => {
  state.heard = true;
  keep();
  stopped();
  enable();
  hint("rate_now");
});
audio.addEventListener("pause", () => {
  if (!audio.ended) stopped(); // by the button, or headphones unplugged, or a call
});
$("position").addEventListener("input", () => seek(Number($("position").value)));
$("position").addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 };
  const places = { Home: 0, End: audio.duration };
  const to = places[event.key] ?? audio.currentTime + steps[event.key];
  if (Number.isNaN(to)) return;
  event.preventDefault();
  seek(to);
});
audio.addEventListener("error", async () => {
  if (!trial || !audio.getAttribute("src")) return;
  const current = trial;
  if (clips.useWav(current.trial_id)) {
    const address = await clips.get(current.trial_id);
    if (trial === current) audio.src = address;
  } else {
    hint("sound_failed");
  }
});

/** The answers given so far: question -> number or text. */
function values() {
  const form = new FormData($("answer"));
  const given = {};
  for (const question of plan.questions) {
    const value = form.get(question.id);
    if (value !== null && value !== "") given[question.id] = question.rated ? Number(value) : value;
  }
  return given;
}

function unanswered() {
  const given = values();
  return plan.questions.filter((question) => question.required && !(question.id in given));
}

function firstUnanswered() {
  return unanswered()[0];
}

function focusQuestion(id) {
  const field = document.querySelector(`[data-question="${id}"]`);
  const target = field.matches("textarea") ? field : field.querySelector("input");
  target.focus();
}

$("answer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!trial) return;
  if (!answerable()) {
    hint("listen_first");
    $("play").focus();
    return;
  }
  const open = firstUnanswered();
  if (open) {
    hint("answer_all");
    focusQuestion(open.id);
    return;
  }
  state.values = values();
  keep();
  if (!revising || !same(state.values, last.values)) give();
  if (!revising) {
    store.remove(`trial:${trial.trial_id}`);
    left = left.slice(1);
  }
  revising = false;
  go();
});

/** Hand the answer on, in place of an earlier one where it revises one. */
function give() {
  const answer = {
    answer_id: newId(),
    trial_id: trial.trial_id,
    values: state.values,
    play_count: state.plays,
    heard_to_end: state.heard,
    trial_s: Math.round(state.elapsed_ms) / 1000,
  };
  if (revising) answer.revises = last.answer_id;
  last = { trial, answer_id: answer.answer_id, values: state.values, state };
  queue.add(answer);
}

function same(one, other) {
  return plan.questions.every(({ id }) => one[id] === other[id]);
}

/** To whatever is next; the page starts from its top. */
function go() {
  audio.pause();
  trial = null;
  show();
  window.scrollTo(0, 0);
  $("heading").focus({ preventScroll: true });
}

$("back").addEventListener("click", () => {
  if (!trial || !last) return;
  state.values = values();
  keep();
  revising = true;
  go();
});
$("answer").addEventListener("input", () => {
  if (!trial) return;
  state.values = values();
  keep();
  update();
});

/** Digits typed within a second make one number: 1 then 0 is 10. */
function digit(character) {
  const scale = activeScale();
  if (!scale || scale.disabled) {
    hint("listen_first");
    return;
  }
  const now = performance.now();
  typed = now - typedAt < DIGITS_MS ? typed + character : character;
  typedAt = now;
  const find = (text) => [...scale.querySelectorAll("input")].find((input) => input.value === text);
  const input = find(typed) ?? find(character);
  if (!input) return;
  if (!find(typed)) typed = character;
  input.checked = true;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.focus();
}

function activeScale() {
  const focused = document.activeElement?.closest("fieldset.scale");
  if (focused && performance.now() - typedAt < DIGITS_MS) return focused;
  const open = firstUnanswered();
  const next = scales.find((scale) => scale.dataset.question === open?.id);
  return next ?? focused ?? scales[scales.length - 1];
}

document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (!$("keys-on").checked || event.ctrlKey || event.altKey || event.metaKey || !trial) return;
  if (event.repeat || target.matches("textarea, input[type=checkbox], summary, a")) return;
  if (/^[0-9]$/.test(event.key)) {
    event.preventDefault();
    digit(event.key);
  } else if (event.key === " " && !target.matches("button")) {
    event.preventDefault();
    play();
  } else if (event.key === "Enter" && !target.matches("button, input[type=radio]")) {
    event.preventDefault();
    $("answer").requestSubmit();
  }
});

$("play").addEventListener("click", play);
$("noise")?.addEventListener("click", () => {
  audio.pause();
  noise.src = plan.noise_url;
  noise.play().catch(() => noiseState(false));
});
function noiseState(on) {
  $("noise").classList.toggle("playing", on);
  $("noise-text").textContent = say(on ? "playing" : "volume_noise");
}
noise.addEventListener("playing", () => noiseState(true));
for (const name of ["pause", "ended", "error"]) noise.addEventListener(name, () => noiseState(false));
window.addEventListener("pagehide", () => trial && keep());
window.addEventListener("beforeunload", (event) => {
  if (queue.failing && queue.pending().length) event.preventDefault();
});

if (done.size) queue.flush();
show();
