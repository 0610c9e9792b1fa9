"""Take away: one button per view for its figure, its table and its sources, in the formats of a thesis."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from detox_core.export.tables import csv, latex

Data = Callable[[], str | bytes]
FIGURE = "16 cm wide, for light paper, readable in grey; its text stays text."
MIMES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "tex": "text/x-tex",
    "bib": "text/x-bibtex",
}
HELP = {
    "pdf": f"The figure for LaTeX. {FIGURE}",
    "svg": f"The figure to edit. {FIGURE}",
    "png": "The figure as pixels, 300 to the inch.",
    "csv": "The table with all digits.",
    "tex": "The table for LaTeX; it needs the package booktabs.",
    "html": "Opens in any browser, without a network.",
    "json": "The record itself; the command export reads it.",
    "bib": "What to cite: papers, models and methods behind this view.",
}


def take_away(
    name: str,
    *,
    figure: Callable[[], Any] | Mapping[str, Callable[[], Any]] | None = None,
    table: Callable[[], pd.DataFrame] | None = None,
    caption: str = "",
    command: str = "",
    cite: Callable[[], str] | None = None,
    more: Mapping[tuple[str, str], Data] | None = None,
) -> None:
    """A popover with download buttons; nothing is built before a click.

    Args:
        name: of the files; different for all that are on one page.
        figure: makes a chart of `detox_core.figures` in light colours, or a figure of `detox_core.export`; several by name, to choose
            from. As `table` and `cite` it runs outside of the page, and so must not ask Streamlit for anything.
        caption: of the LaTeX table, one or more sentences.
        command: what makes the table again.
        cite: makes the BibTeX.
        more: (label, ending) -> contents, for further files.
    """
    with st.popover("Take away", icon=":material/download:", key=f"take-{name}"):
        if isinstance(figure, Mapping):
            chosen = st.selectbox("Which figure", list(figure), key=f"take-{name}-which") if len(figure) > 1 else next(iter(figure))
            figure = figure[chosen]
        for title, row in _rows(name, figure, table, caption, command, cite, more or {}):
            st.caption(title)
            with st.container(horizontal=True, gap="small"):
                for label, ending, data in row:
                    file, key = f"detox-lens-{name}.{ending}", f"take-{name}-{ending}"
                    how: dict[str, Any] = {"mime": MIMES.get(ending), "help": HELP.get(ending)}
                    st.download_button(label, data, file, key=key, on_click="ignore", **how)


def _rows(
    name: str,
    figure: Callable[[], Any] | None,
    table: Callable[[], pd.DataFrame] | None,
    caption: str,
    command: str,
    cite: Callable[[], str] | None,
    more: Mapping[tuple[str, str], Data],
) -> Iterator[tuple[str, list[tuple[str, str, Data]]]]:
    """Title, and label, ending and contents of its files."""
    if figure:
        yield "Figure", [(ending.upper(), ending, partial(_picture, figure, ending)) for ending in ("pdf", "svg", "png")]
    if table:
        made = partial(_latex, table, caption, f"tab:{name}", command)
        yield "Table", [("CSV", "csv", partial(_csv, table)), ("LaTeX", "tex", made)]
    if more:
        yield "Everything", [(label, ending, data) for (label, ending), data in more.items()]
    if cite:
        yield "Sources", [("BibTeX", "bib", cite)]


def _picture(figure: Callable[[], Any], format: str) -> bytes:
    from detox_core.export.charts import picture

    return picture(figure(), format)


def _csv(table: Callable[[], pd.DataFrame]) -> str:
    return csv(table())


def _latex(table: Callable[[], pd.DataFrame], caption: str, label: str, command: str) -> str:
    return latex(table(), caption, label, command)
