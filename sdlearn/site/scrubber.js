// Films of a lesson: a slider over pictures that are all in the page, so no kernel is needed.
for (const film of document.querySelectorAll("figure.film")) {
  const { name, labels, frames, index } = JSON.parse(film.dataset.frames);
  const image = film.querySelector("img");
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: frames.length - 1, value: index });
  const said = document.createElement("span");
  const label = document.createElement("label");
  slider.setAttribute("aria-label", name);
  label.append(slider, said);
  film.prepend(label);
  function show() {
    const text = `${name} ${labels[slider.value]}`;
    image.src = `data:image/jpeg;base64,${frames[slider.value]}`;
    image.alt = text;
    said.textContent = text;
    slider.setAttribute("aria-valuetext", text);
  }
  slider.addEventListener("input", show);
  show();
}
