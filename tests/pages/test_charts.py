"""Every chart says what it shows, and has its numbers beside it."""

import ast
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "pages"
CHARTS = {"plotly_chart", "echarts_chart", "altair_chart", "vega_lite_chart", "pyplot", "line_chart", "bar_chart", "scatter_chart", "image"}
TABLES = {"dataframe", "table", "_table"}


def called(node: ast.AST) -> list[ast.Call]:
    return [child for child in ast.walk(node) if isinstance(child, ast.Call)]


def name(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def drawing() -> list:
    """Every function of the pages that draws a chart."""
    found = []
    for path in sorted(PAGES.rglob("*.py")):
        functions = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)]
        charted = [node for node in functions if CHARTS & {name(call) for call in called(node)}]
        found += [pytest.param(node, id=f"{path.stem}.{node.name}") for node in charted]
    return found


def test_the_charts_are_found():
    assert len(drawing()) >= 12


@pytest.mark.parametrize("function", drawing())
def test_every_chart_has_a_text_and_its_numbers_as_a_table(function):
    for call in called(function):
        if name(call) in CHARTS:
            assert "alt" in {keyword.arg for keyword in call.keywords}, ast.unparse(call)[:100]
    assert TABLES & {name(call) for call in called(function)}, "no table with the same numbers"
