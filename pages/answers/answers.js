// Draws the prompt and one card per variant. All text of people and models goes through textContent: never HTML.
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".answers");
  root.querySelector(".prompt").replaceChildren(...promptParts(data));
  const columns = root.querySelector(".columns");
  const open = [...columns.querySelectorAll("details")].map((details) => details.open);
  columns.classList.toggle("blur", data.blur);
  root.querySelector(".prompt").classList.toggle("blur", data.blur);
  columns.replaceChildren(...data.columns.map((column) => card(column, data)));
  columns.querySelectorAll("details").forEach((details, index) => (details.open = open[index] ?? false));
  const status = root.querySelector(".status");
  if (status.textContent !== data.status) status.textContent = data.status;
  fit(root, data.large);
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function promptParts(data) {
  const parts = [element("span", "tag", "Prompt"), words(data.prompt, data.blur), meter(data.prompt.score, "Toxicity of the prompt")];
  if (data.badge) parts.splice(1, 0, element("span", "tag", data.badge));
  return parts;
}

function card(column, data) {
  const made = element("article", column.error ? "card failed" : "card");
  made.style.setProperty("--own", column.color);
  made.setAttribute("aria-label", `${column.label} answers`);
  made.dataset.variant = column.id;
  const head = element("div", "head");
  head.append(element("b", "", column.label), element("span", "tag", column.state));
  made.append(head);
  if (column.about) made.append(element("div", "about", column.about));
  if (column.error) {
    const message = element("div", "words", column.error);
    made.append(message);
    return made;
  }
  const [first, ...others] = column.replies;
  const text = words(first ?? { parts: [] }, data.blur);
  text.classList.toggle("caret", column.writing);
  made.append(text, meter(first?.score, `Toxicity of ${column.label}`, first?.change));
  if (first?.problem) made.append(element("div", "problem", first.problem));
  if (first?.fit) {
    const fit = element("div", "foot", first.fit);
    fit.title = "Similarity: cosine of sentence vectors, 1 = the same meaning. Perplexity: how surprising the untuned model finds the words; very high = hardly a sentence.";
    made.append(fit);
  }
  if (first?.foot) made.append(element("div", "foot", first.foot));
  if (others.length) made.append(more(others, data.blur));
  return made;
}

function more(replies, blur) {
  const made = element("details");
  made.append(element("summary", "", `${replies.length} more ${replies.length === 1 ? "reply" : "replies"}`));
  const list = element("div", "more");
  list.tabIndex = 0;  // it scrolls
  list.setAttribute("role", "region");
  list.setAttribute("aria-label", "more replies");
  for (const reply of replies) {
    const row = element("div", "reply");
    const { score } = reply;
    const number = !score ? "…" : score.value === null ? `not scored: ${score.reason}` : score.number;
    row.append(element("span", "number", number), words(reply, blur));
    list.append(row);
  }
  made.append(list);
  return made;
}

function words(reply, blur) {
  const made = element("div", "words");
  if (blur && !reply.judged && reply.parts.length) {
    made.classList.add("unknown");
    made.tabIndex = 0;
  }
  for (const [text, why] of reply.parts) {
    if (!why) {
      made.append(text);
      continue;
    }
    const mark = element("mark", "", text);
    mark.title = why;
    if (blur) mark.tabIndex = 0;
    made.append(mark);
  }
  return made;
}

function meter(score, label, change) {
  const made = element("div", "meter");
  const line = element("div", "line");
  made.append(line);
  if (!score) {
    line.append(element("span", "tag", "score: waiting for the end of the text"));
    return made;
  }
  if (score.value === null) {
    line.append(element("span", "", `not scored: ${score.reason}`));
    return made;
  }
  line.append(element("span", "number", score.number), element("span", "", score.bucket));
  if (change) line.append(element("span", "change", change));
  const bar = element("div", "bar");
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-label", label);
  bar.setAttribute("aria-valuemin", "0");
  bar.setAttribute("aria-valuemax", "1");
  bar.setAttribute("aria-valuenow", score.number);
  bar.setAttribute("aria-valuetext", `${score.number}, ${score.bucket}`);
  const fill = element("span");
  fill.style.width = `${Math.max(1, 100 * score.value)}%`;
  fill.style.background = score.color;
  bar.append(fill);
  made.append(bar);
  if (score.also) {
    const also = element("div", "also", score.also);
    also.title = "Further attributes that probably apply, each with its own probability";
    made.append(also);
  }
  return made;
}
