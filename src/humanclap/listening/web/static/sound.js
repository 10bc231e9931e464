// The sound check: a button plays its sounds in turn; only then can its question be answered.

const audio = new Audio();
let busy = false;

function playOne(address) {
  return new Promise((resolve, reject) => {
    audio.onended = resolve;
    audio.onerror = reject;
    audio.src = address;
    audio.play().catch(reject);
  });
}

async function play(button) {
  if (busy) return;
  busy = true;
  const text = button.lastElementChild;
  const idle = text.textContent;
  if (button.dataset.playing) text.textContent = button.dataset.playing;
  button.classList.add("playing");
  try {
    for (const address of button.dataset.sounds.trim().split(/\s+/)) {
      await playOne(address);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    for (const input of document.querySelectorAll(`[data-after="${button.dataset.plays}"]`)) {
      input.disabled = false;
    }
    button.form.dispatchEvent(new Event("change"));
  } catch {
    // may be played again
  }
  if (button.dataset.playing) text.textContent = idle;
  button.classList.remove("playing");
  busy = false;
}

for (const button of document.querySelectorAll("button[data-sounds]")) {
  button.addEventListener("click", () => play(button));
}

// What was not played cannot be answered, and a browser lets disabled fields pass: lead there.
document.querySelector("form").addEventListener("submit", (event) => {
  const unheard = document.querySelector("input:disabled[data-after]");
  if (!unheard) return;
  event.preventDefault();
  document.querySelector(`button[data-plays="${unheard.dataset.after}"]`).focus();
});
