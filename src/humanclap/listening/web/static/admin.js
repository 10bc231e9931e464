// Keeps the figures fresh, without moving what one reads or scrolls.

const EVERY_MS = 5000;
const live = document.getElementById("live");

async function refresh() {
  if (document.hidden || live.contains(document.activeElement)) return;
  try {
    const response = await fetch(live.dataset.url);
    if (response.status === 401) window.location.reload();
    if (!response.ok) return;
    const scrolls = [...live.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
    live.innerHTML = await response.text();
    live.querySelectorAll(".scroll").forEach((box, i) => {
      [box.scrollLeft, box.scrollTop] = scrolls[i] ?? [0, 0];
    });
  } catch {
    // next time
  }
}

setInterval(refresh, EVERY_MS);
