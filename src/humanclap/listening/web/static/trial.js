// One trial at a time: hear its one or two sounds to the end, answer, go on; back to the last
// answer, if wished.

import { AnswerQueue, Store, newId } from "./queue.js";
import { Clips } from "./clips.js";
import { Player } from "./player.js";
import { useKeys } from "./keys.js";

const plan = JSON.parse(document.getElementById("plan").textContent);
const $ = (id) => document.getElementById(id);
const say = (name, values = {}) =>
  plan.wording[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

const store = new Store(`humanclap:${plan.queue}:`);
const noise = new Audio();
const captions = [...document.querySelectorAll(".caption")];
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
  onGone: (sound) => leaveOut(trialOf(sound)),
  onAway: () => window.location.assign(plan.next_url),
});

const players = [...document.querySelectorAll(".player")].map(
  (root) =>
    new Player(root, {
      say,
      hint,
      mustPlay: plan.must_play_to_end,
      onStart: (player) => {
        silence(player);
        keep();
      },
      onEnd: () => {
        keep();
        enable();
        hint(answerable() ? "rate_now" : "listen_first");
      },
      onFailure: takeWav,
    }),
);

const done = new Set(queue.pending().map((answer) => answer.trial_id));
let left = plan.trials.filter((trial) => !done.has(trial.trial_id));
let last = lastGiven(); // the answer that may be changed: { trial, answer_id, values, state }
let revising = false;
let trial = null;
let state = null; // { sounds, elapsed_ms, values } of this trial, kept over a reload
let shownAt = 0;
let ended = false;

/** What was answered last: it may still wait here, else the server knows. */
function lastGiven() {
  const waiting = queue.pending().at(-1);
  const known = waiting ?? plan.last;
  const item = [...plan.trials, plan.last].find((one) => one && one.trial_id === known?.trial_id);
  if (!item) return null;
  const elapsed_ms = 1000 * known.trial_s;
  const plays = [known.play_count, known.play_count_second].slice(0, item.sounds.length);
  const sounds = plays.map((count) => ({ plays: count, heard: true }));
  const given = { sounds, elapsed_ms, values: known.values };
  return { trial: item, answer_id: known.answer_id, values: known.values, state: given };
}

/** The id of the trial that a sound belongs to. */
function trialOf(sound) {
  return sound.split(".")[0];
}

/** Stop every sound but that of one player. */
function silence(except = null) {
  noise.pause();
  for (const player of players) if (player !== except) player.pause();
}

/** The browser cannot decode a sound: have it as WAV, or say that it is not to be had. */
async function takeWav(player) {
  const current = trial;
  const sound = current?.sounds[players.indexOf(player)];
  if (!current || !clips.useWav(sound)) {
    hint("sound_failed");
    return;
  }
  const address = await clips.get(sound);
  if (trial === current) player.load(address);
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
  silence();
  show();
}

/** Go on without a sound that cannot be played, or that another tab has answered. */
function leaveOut(id) {
  left = left.filter((item) => item.trial_id !== id);
  const here = trial?.trial_id === id;
  if (last?.trial.trial_id === id) forgetLast();
  if (here) {
    silence();
    show();
  }
}

function answerable() {
  return !plan.must_play_to_end || state.sounds.every((sound) => sound.heard);
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

/** What is known of a trial on this page so far. */
function stateOf(item) {
  if (revising) return structuredClone(last.state);
  const kept = store.get(`trial:${item.trial_id}`);
  if (kept?.sounds?.length === item.sounds.length) return kept;
  return { sounds: item.sounds.map(() => ({ plays: 0, heard: false })), elapsed_ms: 0 };
}

async function show() {
  trial = revising ? last.trial : left[0];
  const order = revising ? [trial, ...left] : left;
  clips.expect(order.flatMap((item) => item.sounds), last ? last.trial.sounds : []);
  if (!trial) {
    finish();
    return;
  }
  state = stateOf(trial);
  shownAt = performance.now();
  $("heading").textContent = say("trial_of", { number: trial.number, total: plan.total });
  $("progress").max = plan.total;
  $("progress").value = trial.number - 1;
  $("practice").hidden = !trial.practice;
  $("revising").hidden = !revising;
  $("back").hidden = revising || !last;
  for (const [index, box] of captions.entries()) box.textContent = trial.texts[index];
  fill(state.values);
  hint("");
  enable();
  const current = trial;
  players.forEach((player, index) => player.expect(state.sounds[index]));
  await Promise.all(
    players.map(async (player, index) => {
      const address = await clips.get(current.sounds[index]);
      if (trial === current) player.load(address);
    }),
  );
  if (trial === current && !revising) hint(answerable() ? "rate_now" : "listen_first");
}

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

$("answer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!trial) return;
  if (!answerable()) {
    hint("listen_first");
    unheard().button.focus();
    return;
  }
  const [open] = unanswered();
  if (open) {
    hint("answer_all");
    const field = document.querySelector(`[data-question="${open.id}"]`);
    (field.matches("textarea") ? field : field.querySelector("input")).focus();
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

/** The player to go on with: the first whose sound was not heard to its end. */
function unheard() {
  return players.find((player) => !player.sound.heard) ?? players[0];
}

/** Hand the answer on, in place of an earlier one where it revises one. */
function give() {
  const answer = {
    answer_id: newId(),
    trial_id: trial.trial_id,
    values: state.values,
    play_count: state.sounds[0].plays,
    heard_to_end: state.sounds.every((sound) => sound.heard),
    trial_s: Math.round(state.elapsed_ms) / 1000,
  };
  if (state.sounds.length > 1) answer.play_count_second = state.sounds[1].plays;
  if (revising) answer.revises = last.answer_id;
  last = { trial, answer_id: answer.answer_id, values: state.values, state };
  queue.add(answer);
}

function same(one, other) {
  return plan.questions.every(({ id }) => one[id] === other[id]);
}

/** To whatever is next; the page starts from its top. */
function go() {
  silence();
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

useKeys({
  letters: plan.keys,
  scales,
  hint,
  enabled: () => trial !== null && $("keys-on").checked,
  firstOpen: () => unanswered()[0]?.id,
  play: (index) => players.length > 1 && players[index]?.toggle(),
  playOrPause: () => (players.find((player) => player.playing()) ?? unheard()).toggle(),
  next: () => $("answer").requestSubmit(),
});

$("noise")?.addEventListener("click", () => {
  silence();
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
