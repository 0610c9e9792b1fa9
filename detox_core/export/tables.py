"""A table for a thesis: LaTeX with booktabs alone, everything in it literal."""

import re
import unicodedata
from typing import Any

import pandas as pd

SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # after the end of a row it would begin an option
    "*": "{*}",
    "\N{MINUS SIGN}": "$-$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{BLACK STAR}": "{*}",
    "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
    "\N{EN DASH}": r"\textendash{}",
    "\N{EM DASH}": r"\textemdash{}",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
}
ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"  # which LaTeX sets without further packages
LAST = "\u017f"  # later letters with accents want further packages
LETTERS = "ßæÆøØœŒłŁ£§©"
NUMBER = re.compile(r"^[+\-\N{MINUS SIGN}]?\d[\d,]*(\.\d+)?( ?%| x)?( \[[^\]]*\])?$")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a formula begins
LONG = 36  # characters of a cell, above which its column is wrapped
MANY = 6  # columns, above which type is small


def escaped(text: str) -> str:
    """The text as LaTeX that prints it; letters that LaTeX lacks become their number, for example [U+1F600]."""
    literal = "".join(SPECIAL.get(letter) or _letter(letter) for letter in text)
    return re.sub("-(?=-)", "-{}", literal)  # two in a row would become a dash


def latex(table: pd.DataFrame, caption: str, label: str, command: str = "") -> str:
    """The table as a LaTeX float; needs `\\usepackage{booktabs}`.

    Args:
        table: shown without its index; missing values stay empty.
        caption, label: plain text; the label may have letters, digits, colons and dashes.
        command: what makes it again, named in the caption.
    """
    cells = {str(name): _cells(table.iloc[:, at]) for at, name in enumerate(table.columns)}
    columns = " ".join(_column(values, sum(_long(one) for one in cells.values())) for values in cells.values())
    rows = [" & ".join(escaped(value) for value in row) + r" \\" for row in zip(*cells.values(), strict=True)]
    again = rf" Made by \texttt{{{escaped(command)}}}." if command else ""
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}[tbp]",
            r"\centering",
            *([r"\footnotesize", r"\setlength{\tabcolsep}{3pt}"] if len(cells) > MANY else []),
            rf"\caption{{{escaped(caption)}{again}}}",
            rf"\label{{{re.sub(r'[^A-Za-z0-9:-]', '-', label)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(escaped(name) for name in cells) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def csv(table: pd.DataFrame) -> str:
    """The table without its index; numbers in full. A text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return str(table.map(_inert).to_csv(index=False))


def _inert(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) and not NUMBER.match(cell) else cell


def _cells(column: pd.Series) -> list[str]:
    """The cells as text; the numbers of a column with equally many decimals, so that they align."""
    if pd.api.types.is_float_dtype(column):
        most = column.abs().max()
        decimals = 0 if column.dropna().mod(1).eq(0).all() else 1 if most >= 100 else 2 if most >= 1 else 3
        return ["" if pd.isna(value) else f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for value in column]
    return [_cell(value) for value in column]


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}") if isinstance(value, float) else " ".join(str(value).split())


def _column(values: list[str], long: int) -> str:
    """Numbers to the right, long texts wrapped, what is left to the left."""
    if _long(values):
        return f"p{{{0.8 / max(1, long):.2f}\\linewidth}}"
    known = [value for value in values if value]
    return "r" if known and all(NUMBER.match(value) for value in known) else "l"


def _long(values: list[str]) -> bool:
    return max(map(len, values), default=0) > LONG


def _letter(letter: str) -> str:
    base, *accents = list(unicodedata.normalize("NFD", letter))
    if (" " <= base <= "~" and letter <= LAST and all(accent in ACCENTS for accent in accents)) or letter in LETTERS:
        return letter
    return f"{{[}}U+{ord(letter):04X}]" if letter.isprintable() else " "
