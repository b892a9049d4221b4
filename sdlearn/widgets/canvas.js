// A picture to paint on with the mouse, a finger, or keys: arrows move the brush, Space paints,
// Ctrl or Cmd with Z takes the last stroke back.
const REMEMBERED = 30; // strokes that can be taken back

function render({ model, el }) {
  const [width, height] = [model.get("width"), model.get("height")];
  const bar = document.createElement("div");
  const box = document.createElement("div");
  const back = document.createElement("img");
  const canvas = Object.assign(document.createElement("canvas"), { width, height, tabIndex: 0 });
  const ring = document.createElement("div");
  const brush = Object.assign(document.createElement("input"), { type: "range", min: 4, max: 96, step: 4 });
  const undo = Object.assign(document.createElement("button"), { textContent: "Undo", className: "jupyter-button", disabled: true });
  const clear = Object.assign(document.createElement("button"), { textContent: "Clear", className: "jupyter-button" });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const before = []; // what was painted before each of the last strokes
  const colours = Object.entries(model.get("colours"));
  let [colour, at, url] = [colours[0][1], { x: width / 2, y: height / 2 }, null];

  bar.style.cssText = "display: flex; flex-wrap: wrap; gap: 6px; align-items: center; padding: 4px 2px";
  box.style.cssText = `position: relative; width: ${model.get("shown")}px; max-width: 100%; line-height: 0; background: white`;
  back.style.cssText = "width: 100%";
  canvas.style.cssText = "position: absolute; inset: 0; width: 100%; height: 100%; cursor: crosshair; touch-action: none";
  ring.style.cssText =
    "position: absolute; border: 2px solid white; border-radius: 50%; box-shadow: 0 0 0 2px #24303c;" +
    "transform: translate(-50%, -50%); box-sizing: border-box; pointer-events: none; visibility: hidden";
  if (model.get("see_through")) canvas.style.opacity = 0.6;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "canvas: arrow keys move the brush, Space paints, Control Z takes back");
  brush.value = model.get("brush");
  brush.setAttribute("aria-label", "size of the brush");
  brush.style.width = "8em";

  const choices = colours.map(([name, value]) => {
    const choice = Object.assign(document.createElement("button"), { title: name });
    choice.setAttribute("aria-label", `paint ${name}`);
    choice.style.cssText = `width: 28px; height: 28px; border-radius: 50%; background: ${value}`;
    choice.addEventListener("click", () => {
      colour = value;
      showChosen();
    });
    return choice;
  });
  bar.append(...choices, brush, undo, clear);
  // otherwise the notebook's own shortcuts would take the arrow keys
  bar.addEventListener("keydown", (event) => {
    event.stopPropagation();
    takeBack(event);
  });
  box.append(back, canvas, ring);
  el.append(bar, box);

  function showChosen() {
    for (const [index, choice] of choices.entries()) {
      const chosen = colours[index][1] === colour;
      choice.setAttribute("aria-pressed", chosen);
      choice.style.border = chosen ? "5px double #24303c" : "1px solid #8c8c8c";
    }
  }
  function showBrush(event) {
    const [left, top, size] = [at.x / width, at.y / height, brush.value / width].map((part) => `${100 * part}%`);
    const visibility = event.type === "blur" ? "hidden" : "visible";
    Object.assign(ring.style, { left, top, width: size, aspectRatio: 1, visibility });
  }

  function remember() {
    before.push(pen.getImageData(0, 0, width, height));
    if (before.length > REMEMBERED) before.shift();
    undo.disabled = false;
  }
  function takeBack(event) {
    if (event?.type === "keydown" && !((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z")) return false;
    event?.preventDefault();
    if (before.length) {
      pen.putImageData(before.pop(), 0, 0);
      undo.disabled = !before.length;
      send();
    }
    return true;
  }
  function stroke(from, to) {
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = colour;
    pen.lineWidth = Number(brush.value);
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.lineTo(to.x + 0.01, to.y);
    pen.stroke();
  }
  function send() {
    canvas.toBlob(async (blob) => {
      model.set("strokes", new DataView(await blob.arrayBuffer()));
      model.save_changes();
    }, "image/png");
  }
  function position(event) {
    const frame = canvas.getBoundingClientRect();
    return { x: ((event.clientX - frame.left) / frame.width) * width, y: ((event.clientY - frame.top) / frame.height) * height };
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    at = position(event);
    remember();
    stroke(at, at);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const next = position(event);
    stroke(at, next);
    at = next;
  });
  canvas.addEventListener("pointerup", (event) => {
    showBrush(event);
    send();
  });
  canvas.addEventListener("pointerleave", () => {
    ring.style.visibility = "hidden";
  });
  canvas.addEventListener("focus", showBrush);
  canvas.addEventListener("blur", showBrush);
  canvas.addEventListener("keydown", (event) => {
    event.stopPropagation(); // otherwise the notebook's own shortcuts would take the arrow keys
    if (takeBack(event)) return;
    const moved = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (moved) {
      const next = { x: at.x + moved[0] * 16, y: at.y + moved[1] * 16 };
      at = { x: Math.min(Math.max(next.x, 0), width), y: Math.min(Math.max(next.y, 0), height) };
      showBrush(event);
    } else if (event.key === " ") {
      remember();
      stroke(at, at);
      send();
    } else return;
    event.preventDefault();
  });
  undo.addEventListener("click", takeBack);
  clear.addEventListener("click", () => {
    remember();
    pen.clearRect(0, 0, width, height);
    send();
  });
  function showBackground() {
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([model.get("background")], { type: "image/png" }));
    back.src = url;
    back.alt = "what is painted on";
  }
  async function showStrokes() {
    const bytes = model.get("strokes");
    if (!bytes.byteLength) return;
    const kept = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    pen.clearRect(0, 0, width, height);
    pen.drawImage(kept, 0, 0);
  }
  model.on("change:background", showBackground);
  showBackground();
  showStrokes();
  showChosen();
  return () => {
    model.off("change:background", showBackground);
    URL.revokeObjectURL(url);
  };
}
export default { render };
