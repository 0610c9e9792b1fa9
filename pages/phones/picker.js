// The curated prompts as buttons. A prompt is text, never HTML.
let drawn = "";
const draw = () => {
  const now = JSON.stringify(props.value);
  if (now === drawn) return;
  drawn = now;
  const { prompts, open } = props.value;
  const list = element.querySelector(".picker");
  list.replaceChildren(
    ...prompts.map((prompt) => {
      const button = document.createElement("button");
      button.textContent = prompt;
      button.disabled = !open;
      button.onclick = () => trigger("click", { prompt });
      return button;
    }),
  );
  element.querySelector(".paused").textContent = open ? "" : "The presenter has paused this page.";
};
watch("value", draw);
draw();
