"""Which words an answer hangs on, as coloured text in the browser."""

from pathlib import Path
from typing import Any

import streamlit as st

from detox_core.figures.heatmap import heatmap_data
from detox_core.types import Comparison
from pages.answers import FIT

FOLDER = Path(__file__).parent

_draw = st.components.v2.component(
    "detox_heatmap",
    html=(FOLDER / "heatmap.html").read_text(encoding="utf-8"),
    css=(FOLDER / "heatmap.css").read_text(encoding="utf-8"),
    js=(FOLDER / "heatmap.js").read_text(encoding="utf-8") + FIT,
)


def show_heatmap(
    record: Comparison, found: Any, theme: str, *, unit: str = "words", difference: bool = False, blur: bool, large: bool = False
) -> None:
    """Draw one row per variant; `found` is a `Why`, or what a stage keeps of one. `large`: for a projector."""
    _draw(data={**heatmap_data(record, found, theme, unit=unit, difference=difference), "blur": blur, "large": large}, key="heatmap")
