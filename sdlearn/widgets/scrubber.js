// A slider over frames that the browser already has. The kernel only learns the slider's position.
function render({ model, el }) {
  const urls = model.get("frames").map((frame) => URL.createObjectURL(new Blob([frame], { type: "image/jpeg" })));
  const image = document.createElement("img");
  const label = document.createElement("label");
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: urls.length - 1, step: 1 });
  const name = model.get("name");

  image.style.cssText = "display: block; max-width: 100%";
  label.style.cssText = "display: flex; gap: 0.8em; align-items: center; padding: 4px 2px";
  slider.style.cssText = "flex: 0 1 24em";
  const read = document.createElement("span");
  label.append(slider, read);
  el.append(label, image);
  // otherwise the notebook's own shortcuts would take the arrow keys
  el.addEventListener("keydown", (event) => event.stopPropagation());

  function show() {
    const index = model.get("index");
    const text = `${name} ${model.get("labels")[index]}`.trim();
    slider.value = index;
    slider.setAttribute("aria-label", name || text);
    slider.setAttribute("aria-valuetext", text);
    read.textContent = text;
    image.src = urls[index];
    image.alt = text;
  }
  function go(index) {
    model.set("index", index);
    model.save_changes();
  }
  slider.addEventListener("input", () => go(Number(slider.value)));
  const marks = model.get("marks");
  if (marks.length) {
    image.style.cursor = "pointer";
    image.addEventListener("click", (event) => {
      const frame = image.getBoundingClientRect();
      const distances = marks.map((mark) => Math.abs(mark - (event.clientX - frame.left) / frame.width));
      go(distances.indexOf(Math.min(...distances)));
    });
  }
  model.on("change:index", show);
  show();
  return () => {
    model.off("change:index", show);
    urls.forEach(URL.revokeObjectURL);
  };
}
export default { render };
