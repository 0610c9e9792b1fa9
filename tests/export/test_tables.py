"""LaTeX tables: everything literal, only booktabs needed."""

import re

import pandas as pd
import pytest

from detox_core.export.tables import csv, escaped, latex


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"100 % & $x_1$ #1 {a}", r"100 \% \& \$x\_1\$ \#1 \{a\}"),
        (r"\input{secret}", r"\textbackslash{}input\{secret\}"),
        ("~ ^ < > |", r"\textasciitilde{} \textasciicircum{} \textless{} \textgreater{} \textbar{}"),
        ("\N{MINUS SIGN}0.5", "$-$0.5"),
        ("a -- b --- c-d", "a -{}- b -{}-{}- c-d"),
        ("[0.1] *", "{[}0.1] {*}"),
        ("R\N{LATIN SMALL LETTER O WITH DIAERESIS}ttger Tekiro\N{LATIN SMALL LETTER G WITH BREVE}lu", "Röttger Tekiroğlu"),
        ("\N{GRINNING FACE}\u05e9", "{[}U+1F600]{[}U+05E9]"),
        ("it\N{RIGHT SINGLE QUOTATION MARK}s \N{LEFT DOUBLE QUOTATION MARK}so\N{RIGHT DOUBLE QUOTATION MARK}", "it's ``so''"),
        ("Vi\N{LATIN SMALL LETTER E WITH CIRCUMFLEX AND ACUTE}t", "Vi{[}U+1EBF]t"),
        ("a\x00b\nc", "a b c"),
    ],
)
def test_text_is_escaped_by_hand_computed_strings(text, expected):
    assert escaped(text) == expected


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model_name": ["IT & co", "[x]", None],
            "value": [0.5, -0.25, float("nan")],
            "n": [1, 22, 333],
            "toxicity": ["0.32 [0.30, 0.40]", "", "0.10 [0.05, 0.20]"],
            "text": ["a very long reply that has to be wrapped in the table", "short", r"\end{tabular}"],
        }
    )


def test_table_has_its_structure_and_nothing_else():
    made = latex(table(), "All of it: 100 %.", "tab:my table", "python -m detox_core measure --dataset demo")
    lines = made.splitlines()
    assert lines[0] == r"% needs \usepackage{booktabs}"
    assert [line for line in lines if line.startswith(("\\begin", "\\end"))] == [
        r"\begin{table}[tbp]",
        r"\begin{tabular}{l r r r p{0.80\linewidth}}",
        r"\end{tabular}",
        r"\end{table}",
    ]
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert r"\caption{All of it: 100 \%. Made by \texttt{python -m detox\_core measure -{}-dataset demo}.}" in lines
    assert r"\label{tab:my-table}" in lines


def test_every_row_has_as_many_cells_as_columns():
    body = latex(table(), "c", "l").split(r"\midrule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line]
    assert len(rows) == 3
    assert all(line.endswith(r" \\") and len(re.findall(r"(?<!\\)&", line)) == 4 for line in rows)


def test_numbers_of_a_column_have_equally_many_decimals():
    made = latex(table(), "c", "l")
    assert "& 0.500 &" in made
    assert "& $-$0.250 &" in made
    assert " &  & 333 & " in made, "what is missing stays empty"


def test_a_row_that_begins_with_a_bracket_is_no_option():
    assert not re.search(r"(\\\\|rule)\s*[\[*]", latex(pd.DataFrame({"a": ["[1]", "*", "\N{BLACK STAR}"]}), "c", "l"))


def test_many_columns_are_set_small():
    wide = pd.DataFrame([range(9)], columns=[f"c{number}" for number in range(9)])
    assert r"\footnotesize" in latex(wide, "c", "l")
    assert r"\footnotesize" not in latex(wide.iloc[:, :3], "c", "l")


def test_csv_has_all_digits():
    assert csv(pd.DataFrame({"a": [1 / 3], "b": ["x,y"]})) == 'a,b\n0.3333333333333333,"x,y"\n'


@pytest.mark.parametrize(("cell", "written"), [("=1+1", "'=1+1"), ("@x", "'@x"), ("- you", "'- you"), ("-0.5", "-0.5"), ("a=b", "a=b")])
def test_spreadsheet_runs_no_text(cell, written):
    assert csv(pd.DataFrame({"x": [cell]})).splitlines()[1] == written
