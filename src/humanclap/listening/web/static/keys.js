// The keyboard: digits rate, or letters choose; space plays, Enter goes on.

const DIGITS_MS = 1000;

/**
 * letters: key -> value of its button; none where digits rate. enabled(): whether keys work now.
 * firstOpen(): id of the first question without an answer. play(index): the first or second sound.
 */
export function useKeys({ letters, scales, hint, enabled, firstOpen, play, playOrPause, next }) {
  const choosing = Object.keys(letters).length > 0;
  let typed = "";
  let typedAt = 0;

  function press(scale, value) {
    const input = [...scale.querySelectorAll("input")].find((one) => one.value === value);
    if (!input) return false;
    input.checked = true;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.focus();
    return true;
  }

  /** The scale that digits go to: the one in use, else the first without an answer. */
  function activeScale() {
    const focused = document.activeElement?.closest("fieldset.scale");
    if (focused && performance.now() - typedAt < DIGITS_MS) return focused;
    return scales.find((scale) => scale.dataset.question === firstOpen()) ?? focused ?? scales.at(-1);
  }

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
    if (!press(scale, typed) && press(scale, character)) typed = character;
  }

  function letter(value) {
    if (scales[0].disabled) hint("listen_first");
    else press(scales[0], value);
  }

  /** What a key does here; nothing where the browser's own meaning stays. */
  function actionOf(key, target) {
    const value = letters[key.toLowerCase()];
    if (value !== undefined) return () => letter(value);
    if (/^[0-9]$/.test(key)) return choosing ? () => play(Number(key) - 1) : () => digit(key);
    if (key === " " && !target.matches("button")) return playOrPause;
    if (key === "Enter" && !target.matches("button, input[type=radio]")) return next;
    return null;
  }

  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || !enabled()) return;
    if (event.target.matches("textarea, input[type=checkbox], summary, a")) return;
    const found = actionOf(event.key, event.target);
    if (!found) return;
    event.preventDefault();
    found();
  });
}
