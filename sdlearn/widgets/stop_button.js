// A button that stops work, also while a cell waits for it: then messages are not read, and only an
// interrupt of the kernel gets through.
function render({ model, el }) {
  const icon = Object.assign(document.createElement("i"), { className: "fa fa-stop" });
  const button = Object.assign(document.createElement("button"), { className: "jupyter-widgets jupyter-button widget-button" });
  const text = document.createTextNode("");
  button.append(icon, text);
  el.append(button);

  let stopping = false;
  function show() {
    button.disabled = model.get("disabled") || stopping;
    text.textContent = stopping ? "Stopping …" : "Stop";
  }
  button.addEventListener("click", () => {
    stopping = true;
    show();
    const kernel = model.widget_manager?.kernel;
    if (model.get("waiting") && kernel) kernel.interrupt();
    else model.send({ event: "stop" });
  });
  function changed() {
    stopping = false;
    show();
  }
  model.on("change:disabled change:runs", changed);
  show();
  return () => model.off("change:disabled change:runs", changed);
}
export default { render };
