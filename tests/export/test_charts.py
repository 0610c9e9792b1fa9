"""Every chart of the pages can be printed, with the same data, and told apart in grey."""

import warnings

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.text import Text

from detox_core.export.charts import picture, print_chart
from detox_core.export.sheet import FORMATS
from detox_core.figures.entropy import entropy_chart
from detox_core.figures.events import events_chart
from detox_core.figures.histogram import score_histogram
from detox_core.figures.inside import activity_chart, experts_chart, lens_chart
from detox_core.figures.matrix import matrix_chart
from detox_core.figures.methods import methods_chart
from detox_core.figures.steps import steps_chart
from detox_core.figures.strip import strip_plot
from detox_core.figures.tradeoff import tradeoff_chart
from detox_core.figures.training import metric_chart

MODELS = ("IT", "FT", "RL")
FOREIGN = r"<i>$x_1$</i> \frac"
rng = np.random.default_rng(0)


def per_model(column: str, count: int) -> pd.DataFrame:
    rows = [(model, place, rng.uniform()) for model in MODELS for place in range(1, count + 1)]
    return pd.DataFrame(rows, columns=["variant", column, "value"])


def entropies() -> pd.DataFrame:
    points = per_model("step", 12).assign(group="eliciting", n=20)
    return points.rename(columns={"value": "mean"}).assign(low=lambda one: one["mean"] - 0.1, high=lambda one: one["mean"] + 0.1)


def events() -> pd.DataFrame:
    points = pd.DataFrame({"variant": "it", "offset": range(-5, 6), "mean": rng.normal(size=11), "n": 9})
    return points.assign(low=points["mean"] - 1, high=points["mean"] + 1, null_low=-0.5, null_high=0.5)


def tradeoff() -> pd.DataFrame:
    strengths = np.linspace(0, 1, 5)
    return pd.DataFrame(
        {"strength": strengths, "toxicity": 1 - strengths, "perplexity": 9.0, "divergence": strengths, "replies": [[0.1, 0.9]] * 5}
    )


def quartiles() -> pd.DataFrame:
    rows = [(layer, kind, 0.2, 0.4, 0.5, 0.6, 0.9) for layer in (1, 2) for kind in ("into", "out")]
    return pd.DataFrame(rows, columns=["layer", "projection", *(f"q{number}" for number in range(5))])


def votes() -> go.Figure:
    figure = go.Figure()
    figure.add_bar(x=[0.5, 0.25], y=["IT: <b>6</b>", "FT: <b>3</b>"], orientation="h", error_x={"type": "data", "array": [0.1, 0.1]})
    return figure.update_layout(xaxis={"title": "share", "tickformat": ".0%"}, yaxis={"autorange": "reversed"})


CHARTS = {
    "entropy": lambda: entropy_chart(entropies(), "eliciting", "bits"),
    "events": lambda: events_chart(events(), "it", "difference"),
    "steps": lambda: steps_chart(per_model("token", 9).assign(text=FOREIGN, toxic=[False, True, False] * 9), "share", chosen=2),
    "training": lambda: metric_chart({FOREIGN: pd.DataFrame({"step": [1, 2], "loss": [2.0, 1.0]})}, "loss"),
    "strip": lambda: strip_plot(pd.DataFrame({"variant": ["IT", FOREIGN] * 2, "sample": range(4), "score": [0.1, np.nan, 0.5, 0.6]})),
    "histogram": lambda: score_histogram([0.1, 0.2, 0.9, float("nan")], 0.5, inverse=False),
    "tradeoff": lambda: tradeoff_chart(tradeoff(), chosen=0.5),
    "methods": lambda: methods_chart(
        pd.DataFrame(
            {"model": ["IT", f"IT + {FOREIGN} 1", "IT + B 1"], "value": [0.5, 0.4, 0.4], "perplexity": [2, 3, 3.0], "kl": [None, 1, 1]}
        )
    ),
    "lens": lambda: lens_chart(per_model("layer", 6).rename(columns={"value": "mass"})),
    "activity": lambda: activity_chart(per_model("neuron", 4).astype({"neuron": str}).rename(columns={"value": "activation"})),
    "experts": lambda: experts_chart(quartiles()),
    "matrix": lambda: matrix_chart(["User:", FOREIGN, "No", "way"], 2, [[0.9, 0.1], [0.1, 0.2], [0.0, 0.7], [0.0, 0.0]]),
    "votes": votes,
}


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_printed_in_every_format_and_twice_the_same(name):
    chart = CHARTS[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for format in FORMATS:
            assert picture(chart, format) == picture(chart, format)


@pytest.mark.parametrize("name", CHARTS)
def test_titles_of_axes_are_the_pages(name):
    chart = CHARTS[name]()
    told = " ".join(text.get_text() for text in print_chart(chart).findobj(Text)).replace("\n", " ")
    titles = [axis.title.text for axis in (*chart.select_xaxes(), *chart.select_yaxes()) if axis.title.text]
    assert all(title in told for title in titles)


def test_lines_have_the_pages_values_and_differ_without_colour():
    points = entropies()
    (axes,) = print_chart(entropy_chart(points, "eliciting", "bits")).axes
    lines = [line for line in axes.lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in lines] == list(MODELS)
    assert list(lines[1].get_ydata()) == points.loc[points["variant"] == "FT", "mean"].tolist()
    assert len({(str(line.get_linestyle()), line.get_marker()) for line in lines}) == len(MODELS)
    assert len([band for band in axes.collections if isinstance(band, PolyCollection)]) == len(MODELS), "one band each"


def test_toxic_tokens_keep_their_own_marker():
    (axes,) = print_chart(CHARTS["steps"]()).axes
    marks = [marks for marks in axes.collections if isinstance(marks, PathCollection)]
    assert len({len(one.get_paths()[0].vertices) for one in marks}) == 2, "circles and diamonds"


def test_stacked_histogram_counts_and_hatches():
    (axes,) = print_chart(CHARTS["histogram"]()).axes
    assert sum(patch.get_height() for patch in axes.patches) == 3
    assert {patch.get_hatch() for patch in axes.patches} == {"", "///"}


def test_names_of_points_do_not_cover_each_other():
    points = pd.DataFrame(
        {"model": [f"IT + Method {n} 1" for n in range(9)], "value": [0.5] * 9, "perplexity": np.linspace(3, 3.4, 9), "kl": 1.0}
    )
    figure = print_chart(methods_chart(points))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 9
    assert not [1 for at, one in enumerate(boxes) for other in boxes[:at] if one.shrunk(0.9, 0.7).overlaps(other.shrunk(0.9, 0.7))]


@pytest.mark.parametrize("name", ["matrix", "methods", "strip"])
def test_foreign_words_stay_literal(name):
    figure = print_chart(CHARTS[name]())
    figure.draw_without_rendering()
    told = "\n".join(text.get_text() for text in figure.findobj(Text))
    assert FOREIGN in told
    assert not any(text.get_parse_math() for text in figure.findobj(Text) if FOREIGN in text.get_text())


def test_logarithmic_axis_has_plain_numbers():
    figure = print_chart(CHARTS["methods"]())
    figure.draw_without_rendering()
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels() if label.get_text()]
    assert "3" in shown
    assert not [text for text in shown if "$" in text]


def test_a_kind_of_chart_that_nobody_can_print_is_refused():
    with pytest.raises(NotImplementedError, match="pie"):
        print_chart(go.Figure(go.Pie(values=[1])))
