// Names for a screen reader, which ipywidgets does not give: of sliders, by the label beside them,
// and of the picture. Widgets appear one after the other, so it looks again when something changes.
function render({ model, el }) {
  let box, waiting;
  const watch = new MutationObserver(() => name());
  const name = () => {
    for (const row of box.querySelectorAll(".widget-inline-hbox")) {
      const label = row.querySelector(".widget-label")?.innerText;
      for (const handle of row.querySelectorAll("[role=slider]")) {
        if (label && handle.ariaLabel !== label) handle.ariaLabel = label;
      }
    }
    for (const image of box.querySelectorAll("img.widget-image")) {
      if (image.alt !== model.get("picture")) image.alt = model.get("picture");
    }
  };
  const begin = () => {
    box = el.closest(".sdlearn-named");
    if (!box) return void (waiting = setTimeout(begin, 200)); // it is not on the page yet
    watch.observe(box, { childList: true, subtree: true });
    model.on("change:picture", name);
    name();
  };
  el.style.display = "none";
  begin();
  return () => {
    clearTimeout(waiting);
    watch.disconnect();
    model.off("change:picture", name);
  };
}
export default { render };
