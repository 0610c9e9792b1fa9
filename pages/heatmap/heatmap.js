// Words of prompt and answer; picking answer words colours what they hang on. All text goes through textContent: never HTML.
const MOST = [230, 97, 1];   // orange: more
const LESS = [94, 60, 153];  // purple, underlined with dots: less, in differences
const LESS_ON_DARK = [170, 140, 225];
const THICKEST = 5;  // pixels of the underline at full strength, which tells without colour

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".rows");
  if (root.signature !== data.signature) {
    root.signature = data.signature;
    root.picked = data.rows.map((row) => [row.start ?? 0, row.start ?? 0]);
  }
  root.status = parentElement.querySelector(".status");
  draw(root, data);
}

function draw(root, data) {
  const focused = root.getRootNode().activeElement?.dataset.place;
  const values = data.rows.map((row, index) => (row.error ? [] : shares(row, root.picked[index])));
  const shown = data.difference ? values.map((own) => own.map((value, at) => value - (values[0][at] ?? 0))) : values;
  const scale = Math.max(0.01, ...shown.flat().map(Math.abs));
  const rows = data.rows.map((row, index) => (row.error ? failed(row) : line(root, data, row, index, shown[index], values[index], scale)));
  root.replaceChildren(...(data.difference ? rows.slice(1) : rows), legend(scale, data.difference));
  fit(root, data.large);
  if (focused) root.querySelector(`[data-place="${focused}"]`)?.focus();
}

// Mean share of every word over the picked answer words.
function shares(row, [from, to]) {
  const chosen = row.matrix.map((line) => line.slice(from, to + 1));
  return chosen.map((line) => line.reduce((sum, value) => sum + value, 0) / (to - from + 1));
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function failed(row) {
  const made = element("div", "row");
  made.append(element("b", "", row.label), element("div", "error", row.error));
  return made;
}

function line(root, data, row, index, shown, own, scale) {
  const [from, to] = root.picked[index];
  const made = element("div", "row");
  made.dataset.variant = row.id;
  made.dataset.row = index;
  made.style.setProperty("--own", row.color);
  const head = element("div", "head");
  head.append(element("b", "", data.difference ? `${row.label} \u2212 ${data.rows[0].label}` : row.label), element("span", "said", sentence(row, own, from, to, data.blur)));
  const prompt = element("div", "text prompt");
  const answer = element("div", "text answer");
  answer.setAttribute("role", "group");
  answer.setAttribute("aria-label", `Answer of ${row.label}. Left and right arrow pick a word, with Shift several.`);
  row.words.forEach((text, at) => {
    const place = at - row.prompt;
    const bare = text.trimStart();
    const word = element("span", "word", bare || text);
    paint(word, shown[at], scale);
    if (data.blur && row.toxic[at]) word.classList.add("blurred");
    word.title = `${shown[at] >= 0 ? "" : "\u2212"}${Math.abs(shown[at]).toFixed(3)}`;
    if (place < 0) {
      if (!row.own[at]) word.classList.add("format");
      if (data.blur && row.toxic[at]) word.tabIndex = 0;
      prompt.append(bare ? text.slice(0, text.length - bare.length) : "", word);
      return;
    }
    word.classList.toggle("picked", place >= from && place <= to);
    word.setAttribute("aria-pressed", place >= from && place <= to);
    word.tabIndex = place === from ? 0 : -1;
    pickable(root, data, index, place, word);
    answer.append(bare ? text.slice(0, text.length - bare.length) : "", word);
  });
  made.append(head, element("span", "tag", "prompt"), prompt, element("span", "tag", "answer: pick a word, or drag over several; arrow keys work too"), answer);
  return made;
}

function sentence(row, own, from, to, blur) {
  const read = (at) => (blur && row.toxic[at] ? " \u2592\u2592\u2592" : row.words[at]);
  const asked = row.words.map((_, at) => read(at)).slice(row.prompt + from, row.prompt + to + 1).join("").trim();
  const order = own.map((value, at) => [value, at]).filter(([, at]) => row.words[at].trim()).sort((a, b) => b[0] - a[0]);
  const most = order.slice(0, 3).map(([value, at]) => `\u201c${read(at).trim()}\u201d ${value.toFixed(2)}`);
  const onPrompt = own.slice(0, row.prompt).reduce((sum, value) => sum + value, 0);
  return `Most weight on \u201c${asked}\u201d: ${most.join(", ")}. ${Math.round(100 * onPrompt)} % of it lies on the prompt.`;
}

function paint(word, value, scale) {
  const strength = Math.min(1, Math.abs(value) / scale);
  const [r, g, b] = value < 0 ? LESS : MOST;
  word.style.background = `rgba(${r}, ${g}, ${b}, ${(0.65 * strength).toFixed(3)})`;
  const line = value < 0 ? `dotted light-dark(rgb(${LESS}), rgb(${LESS_ON_DARK}))` : `solid rgb(${MOST})`;
  word.style.borderBottom = `${Math.round(THICKEST * strength)}px ${line}`;
}

function pickable(root, data, index, place, word) {
  const pick = (from, to) => {
    const range = [Math.min(from, to), Math.max(from, to)];
    root.picked = data.together ? root.picked.map(() => range) : root.picked.map((old, at) => (at === index ? range : old));
    draw(root, data);
    root.querySelector(`[data-place="${index}-${to}"]`)?.focus();
    root.status.textContent = root.querySelector(`[data-row="${index}"] .said`)?.textContent ?? "";
  };
  word.dataset.place = `${index}-${place}`;
  word.setAttribute("role", "button");
  word.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    root.anchor = event.shiftKey ? (root.anchor ?? place) : place;
    pick(root.anchor, place);
  });
  word.addEventListener("pointerenter", (event) => event.buttons === 1 && root.anchor !== undefined && pick(root.anchor, place));
  word.addEventListener("keydown", (event) => {
    const last = data.rows[index].words.length - data.rows[index].prompt - 1;
    const [before, after] = [Math.max(0, place - 1), Math.min(last, place + 1)];
    const to = { Enter: place, " ": place, ArrowLeft: before, ArrowRight: after, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the same keys turn the pages of a stage
    if (!event.shiftKey) root.anchor = to;
    pick(root.anchor ?? to, to);
  });
}

function legend(scale, difference) {
  const made = element("div", "legend");
  const bar = element("i");
  const colors = difference ? `rgb(${LESS}), transparent, rgb(${MOST})` : `transparent, rgb(${MOST})`;
  bar.style.background = `linear-gradient(to right, ${colors})`;
  made.append(difference ? `\u2212${scale.toFixed(2)}` : "0", bar, `${scale.toFixed(2)} share of the attribution; one scale for all models`);
  return made;
}
