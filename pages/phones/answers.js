// Three blind answers, the vote and the reveal. All text of people and models goes through textContent: never HTML.
const make = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};
const AGAIN = 4000; // milliseconds after which a vote that did not come through can be tried again
let shape = "";
let turn = 0; // which question these answers belong to
let clear = false; // whether this visitor wants to read the texts

const write = (words, parts) => {
  words.replaceChildren(...parts.map(([text, toxic]) => (toxic ? make("mark", "", text) : document.createTextNode(text))));
};

const meter = ({ score, bucket, step }) => {
  const told = make("b", "", bucket);
  if (score === null) return told;
  const made = make("div", "meter");
  const bar = make("div", "bar");
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-label", "toxicity");
  bar.setAttribute("aria-valuemin", "0");
  bar.setAttribute("aria-valuemax", "1");
  bar.setAttribute("aria-valuenow", score);
  const fill = make("span", `step${step}`);
  fill.style.width = `${Math.max(1, 100 * score)}%`;
  bar.append(fill);
  made.append(told, bar);
  return made;
};

const card = (answer, data) => {
  const made = make("article", data.voted === answer.letter ? "card chosen" : "card");
  made.dataset.letter = answer.letter;
  made.setAttribute("aria-label", `Answer ${answer.letter}`);
  const head = make("div", "head");
  head.append(make("b", "letter", answer.letter));
  made.append(head, make("p", "words"));
  if (answer.reveal) {
    head.append(make("b", "label", answer.reveal.label), make("span", "foot", answer.reveal.votes));
    made.append(make("p", "foot", answer.reveal.about), meter(answer.reveal));
    made.insertBefore(made.querySelector("p.foot"), made.querySelector(".words"));
  }
  if (data.voted === answer.letter) head.append(make("span", "mine", "your vote"));
  if (data.ready && !data.voted) {
    const button = make("button", "vote", `I would post ${answer.letter}`);
    button.onclick = () => {
      const mine = [...element.querySelectorAll("button.vote")];
      mine.forEach((other) => (other.disabled = true));
      setTimeout(() => mine.forEach((other) => (other.disabled = false)), AGAIN); // a vote that counted has taken them away
      trigger("click", { letter: answer.letter });
    };
    made.append(button);
  }
  return made;
};

const veil = () => {
  element.querySelector(".cards").classList.toggle("blur", !clear);
  element.querySelectorAll(".cards .words").forEach((words) => words.setAttribute("aria-hidden", String(!clear)));
  const button = element.querySelector(".veil");
  button.textContent = clear ? "Blur the answers" : "Show the answers";
  button.classList.toggle("strong", !clear);
};

// While answers are shown the list of prompts is not, and the other way round.
const turnTo = (answers) => {
  document.querySelector(".gradio-container").classList.toggle("asking", answers);
  element.querySelectorAll(".asked, .status, .told, .veil, .cards, .other").forEach((part) => part.classList.toggle("away", !answers));
  window.scrollTo({ top: 0 });
};

const draw = () => {
  const data = props.value;
  element.querySelector(".problem").textContent = data.problem;
  element.querySelector(".status").textContent = data.status;
  element.querySelector(".asked").textContent = data.prompt;
  element.querySelector(".told").textContent = data.told;
  element.querySelector(".veil").hidden = !data.answers.length;
  element.querySelector(".other").hidden = !data.turn;
  const now = JSON.stringify([data.turn, data.ready, data.voted, data.answers.map((answer) => answer.letter)]);
  const cards = element.querySelector(".cards");
  if (now !== shape) cards.replaceChildren(...data.answers.map((answer) => card(answer, data)));
  shape = now;
  for (const answer of data.answers) {
    const words = cards.querySelector(`[data-letter=${answer.letter}] .words`);
    write(words, answer.parts);
    words.classList.toggle("caret", answer.writing);
  }
  veil();
  if (data.turn !== turn) turnTo(Boolean(data.turn));
  turn = data.turn;
  if (data.problem) element.querySelector(".problem").scrollIntoView({ block: "center" });
};

element.querySelector(".veil").onclick = () => {
  clear = !clear;
  veil();
};
element.querySelector(".other").onclick = () => {
  element.querySelector(".problem").textContent = "";
  turnTo(false);
};
watch("value", draw);
draw();
