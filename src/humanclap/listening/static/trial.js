// One trial at a time: hear the clip to its end, answer, go on.

import { AnswerQueue, Store, newId } from "./queue.js";
import { Clips } from "./clips.js";

const DIGITS_MS = 1000;
const plan = JSON.parse(document.getElementById("plan").textContent);
const $ = (id) => document.getElementById(id);
const say = (name, values = {}) =>
  plan.wording[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

const store = new Store(`humanclap:${plan.queue}:`);
const audio = new Audio();
const scales = [...document.querySelectorAll("fieldset.scale")];
const queue = new AnswerQueue({
  store,
  url: plan.answers_url,
  csrf: plan.csrf,
  onChange: showNetwork,
  onElsewhere: leaveOut,
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
let trial = null;
let state = null; // { plays, heard, elapsed_ms } of this trial, kept over a reload
let shownAt = 0;
let playing = false;
let typed = "";
let typedAt = 0;
let ended = false;

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

/** Go on without a sound that cannot be played, or that another tab has answered. */
function leaveOut(id) {
  left = left.filter((item) => item.trial_id !== id);
  if (trial?.trial_id === id) {
    audio.pause();
    show();
  }
}

function answerable() {
  return !plan.must_play_to_end || state.heard;
}

function enable() {
  for (const scale of scales) scale.disabled = !answerable();
}

function keep() {
  state.elapsed_ms += performance.now() - shownAt;
  shownAt = performance.now();
  store.set(`trial:${trial.trial_id}`, state);
}

async function show() {
  [trial] = left;
  clips.expect(left.map((item) => item.trial_id));
  if (!trial) {
    finish();
    return;
  }
  state = store.get(`trial:${trial.trial_id}`) ?? { plays: 0, heard: false, elapsed_ms: 0 };
  shownAt = performance.now();
  $("heading").textContent = say("trial_of", { number: trial.number, total: plan.total });
  $("progress").max = plan.total;
  $("progress").value = trial.number - 1;
  $("practice").hidden = !trial.practice;
  $("caption").textContent = trial.text;
  $("answer").reset();
  $("position").value = 0;
  audio.removeAttribute("src");
  stopped();
  enable();
  busy("loading");
  const current = trial;
  const address = await clips.get(current.trial_id);
  if (trial !== current) return;
  audio.src = address;
  stopped();
  hint(answerable() ? "rate_now" : "listen_first");
}

function busy(name) {
  $("play").setAttribute("aria-disabled", "true");
  $("play-text").textContent = say(name);
}

function stopped() {
  playing = false;
  $("play").classList.remove("playing");
  $("play").setAttribute("aria-disabled", audio.src ? "false" : "true");
  $("play-text").textContent = say(state.plays ? "play_again" : "play");
}

function play() {
  if (!trial || playing || !audio.getAttribute("src")) return;
  playing = true;
  audio.currentTime = 0;
  audio.play().then(
    () => {
      state.plays += 1;
      $("play").classList.add("playing");
      busy("playing");
      keep();
    },
    () => stopped(),
  );
}

audio.addEventListener("timeupdate", () => {
  if (audio.duration) $("position").value = audio.currentTime / audio.duration;
});
audio.addEventListener("ended", () => {
  state.heard = true;
  $("position").value = 1;
  keep();
  stopped();
  enable();
  hint("rate_now");
});
audio.addEventListener("pause", () => {
  if (!audio.ended) stopped(); // headphones unplugged, a call: play again from the start
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

function firstUnanswered() {
  const given = values();
  return plan.questions.find((question) => question.required && !(question.id in given));
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
  const missing = firstUnanswered();
  if (missing) {
    hint("answer_all");
    focusQuestion(missing.id);
    return;
  }
  keep();
  audio.pause();
  const answer = {
    answer_id: newId(),
    trial_id: trial.trial_id,
    values: values(),
    play_count: state.plays,
    heard_to_end: state.heard,
    trial_s: Math.round(state.elapsed_ms) / 1000,
  };
  store.remove(`trial:${trial.trial_id}`);
  left = left.slice(1);
  trial = null;
  queue.add(answer);
  show();
  window.scrollTo(0, 0);
  $("heading").focus({ preventScroll: true });
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
  if (target.matches("textarea, input[type=checkbox], summary, a")) return;
  if (/^[0-9]$/.test(event.key)) {
    event.preventDefault();
    digit(event.key);
  } else if (event.key === " " && !target.matches("button")) {
    event.preventDefault();
    play();
  } else if (event.key === "Enter" && !target.matches("button, input")) {
    event.preventDefault();
    $("answer").requestSubmit();
  }
});

$("play").addEventListener("click", play);
window.addEventListener("pagehide", () => trial && keep());
window.addEventListener("beforeunload", (event) => {
  if (queue.failing && queue.pending().length) event.preventDefault();
});

if (done.size) queue.flush();
show();
