"""A line that tells how far something is: seen at every change, heard when the work is another one or ten seconds have passed."""

import streamlit as st

CSS = """
:host { font-family: var(--st-font); color: var(--st-text-color); font-size: 0.875rem; }
.heard { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""
JS = """
const EVERY = 10_000;  // milliseconds
const work = (text) => text.replace(/[0-9.,]+/g, "");

export default function ({ data, parentElement }) {
  const heard = parentElement.querySelector(".heard");
  parentElement.querySelector(".seen").textContent = data.seen ? data.text : "";
  if (work(data.text) === work(heard.textContent) && Date.now() - heard.dataset.at < EVERY) return;
  heard.dataset.at = Date.now();
  heard.textContent = data.text;
}
"""
_draw = st.components.v2.component(
    "detox_status",
    html='<div class="seen" aria-hidden="true"></div><div class="heard" role="status" aria-live="polite"></div>',
    css=CSS,
    js=JS,
)


def show_status(text: str, key: str, *, seen: bool = True) -> None:
    """Draw the line; `seen=False` where something else on the page shows it already."""
    _draw(data={"text": text, "seen": seen}, key=f"status-{key}", height="content")
