// A button that reads a picture file, shrinks it here, and sends it as PNG: large photos would not fit
// through the connection to the kernel.
function render({ model, el }) {
  const input = Object.assign(document.createElement("input"), { type: "file", accept: "image/*", hidden: true });
  const button = Object.assign(document.createElement("button"), {
    className: "jupyter-button widget-button",
    textContent: "Your picture …",
  });
  el.append(button, input);
  button.addEventListener("click", () => input.click());

  async function shrunk(file) {
    const whole = await createImageBitmap(file, { imageOrientation: "from-image" });
    const factor = Math.min(1, model.get("largest") / Math.max(whole.width, whole.height));
    const [width, height] = [whole.width, whole.height].map((side) => Math.max(1, Math.round(side * factor)));
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const pen = canvas.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(whole, 0, 0, width, height);
    whole.close();
    return new Promise((take) => canvas.toBlob(take, "image/png"));
  }
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    button.disabled = true;
    let content = new DataView(new ArrayBuffer(0)); // for what is not a picture
    try {
      if (file.type !== "image/svg+xml") content = new DataView(await (await shrunk(file)).arrayBuffer());
    } catch {
      // the kernel says what is wrong
    }
    model.set({ name: file.name, content, chosen: model.get("chosen") + 1 });
    model.save_changes();
    input.value = ""; // so that the same file can be chosen again
    button.disabled = false;
  });
}
export default { render };
