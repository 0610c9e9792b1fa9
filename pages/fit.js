
// Type for a projector: as large as the window allows, 60 to 24 px on a screen of 1920 by 1080. Appended to the components that need it.
function fit(root, large) {
  root.classList.toggle("large", Boolean(large));
  root.refit?.disconnect();
  if (!large) return;
  const place = () => {
    const unit = Math.max(0.65, Math.min(window.innerWidth / 1920, window.innerHeight / 1080));
    const foot = document.querySelector(".st-key-stage-foot")?.offsetHeight ?? 0;
    root.style.setProperty("--least", `${24 * unit}px`);
    root.style.marginBottom = "0";
    for (let size = 60; size >= 24; size -= 1) {
      root.style.setProperty("--size", `${size * unit}px`);
      if (root.getBoundingClientRect().bottom <= window.innerHeight - foot) return;
    }
    root.style.marginBottom = `${foot}px`; // it scrolls: the end must come out from under the foot
  };
  place();
  root.refit = new ResizeObserver(place);
  root.refit.observe(document.documentElement);
  if (document.querySelector(".st-key-stage-foot")) root.refit.observe(document.querySelector(".st-key-stage-foot"));
}
