// A picture in which you choose a point with a click or the arrow keys.
const STEP = 1 / 16;

function render({ model, el }) {
  const box = document.createElement("div");
  const image = document.createElement("img");
  const ring = document.createElement("div");
  let url = null;

  box.tabIndex = 0;
  box.setAttribute("role", "slider");
  box.style.cssText = "position: relative; display: inline-block; line-height: 0; cursor: crosshair; max-width: 100%";
  image.style.cssText = "max-width: 100%";
  image.draggable = false;
  ring.style.cssText =
    "position: absolute; width: 18px; height: 18px; border: 3px solid white; border-radius: 50%;" +
    "box-shadow: 0 0 0 2px #24303c; transform: translate(-50%, -50%); box-sizing: border-box; pointer-events: none";
  box.append(image, ring);
  el.append(box);

  function showPicture() {
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([model.get("picture")], { type: "image/jpeg" }));
    image.src = url;
    image.width = model.get("width");
  }
  function showPlace() {
    const [x, y] = [model.get("x"), model.get("y")];
    const text = `${Math.round(100 * x)} percent from the left, ${Math.round(100 * y)} percent from the top`;
    ring.style.left = `${100 * x}%`;
    ring.style.top = `${100 * y}%`;
    box.setAttribute("aria-label", "chosen point");
    box.setAttribute("aria-valuenow", Math.round(100 * x));
    box.setAttribute("aria-valuetext", text);
    image.alt = `the picture, chosen point: ${text}`;
  }
  function choose(x, y) {
    const within = (value) => Math.min(Math.max(value, STEP / 2), 1 - STEP / 2);
    model.set({ x: within(x), y: within(y) });
    model.save_changes();
  }
  box.addEventListener("click", (event) => {
    const frame = image.getBoundingClientRect();
    choose((event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height);
  });
  box.addEventListener("keydown", (event) => {
    event.stopPropagation(); // otherwise the notebook's own shortcuts would take the arrow keys
    const moved = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!moved) return;
    event.preventDefault();
    choose(model.get("x") + moved[0] * STEP, model.get("y") + moved[1] * STEP);
  });
  model.on("change:picture", showPicture);
  model.on("change:x change:y", showPlace);
  showPicture();
  showPlace();
  return () => {
    model.off("change:picture", showPicture);
    model.off("change:x change:y", showPlace);
    URL.revokeObjectURL(url);
  };
}
export default { render };
