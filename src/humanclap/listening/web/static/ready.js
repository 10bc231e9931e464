// A form whose button looks inactive until all that is required is there, and says what is missing.
// The button stays usable: pressed too early, the browser leads to what is missing.

const form = document.querySelector("form[data-missing]");

/** How many required fields are still to be filled in; radio buttons of a name are one. */
function missing() {
  const open = new Set();
  for (const field of form.querySelectorAll("[required]")) {
    const unheard = field.disabled && field.dataset.after;
    if (unheard || !field.checkValidity()) open.add(field.name);
  }
  return open.size;
}

function update() {
  const count = missing();
  form.querySelector("[type=submit]").setAttribute("aria-disabled", String(count > 0));
  form.querySelector(".missing").textContent = count
    ? form.dataset.missing.replace("{count}", count)
    : "";
}

if (form) {
  form.addEventListener("input", update);
  form.addEventListener("change", update);
  window.addEventListener("pageshow", update); // a browser may fill in what was there before
  update();
}
