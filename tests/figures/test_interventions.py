"""Charts of interventions, and of what is inside a model: what is drawn."""

import math

import pandas as pd

from detox_core.figures.inside import activity_chart, experts_chart, lens_chart
from detox_core.figures.methods import methods_chart
from detox_core.figures.tradeoff import tradeoff_chart


def test_the_trade_off_draws_three_lines_and_every_reply():
    points = pd.DataFrame(
        {
            "strength": [0.0, 1.0],
            "toxicity": [0.8, 0.2],
            "perplexity": [2.0, math.nan],
            "divergence": [0.0, 0.3],
            "replies": [[0.7, 0.9], [0.2]],
        }
    )
    dots, toxicity, perplexity, divergence = tradeoff_chart(points, chosen=1.0).data
    assert list(dots.y) == [0.7, 0.9, 0.2]
    assert list(toxicity.y) == [0.8, 0.2]
    assert list(perplexity.y) == [2.0]
    assert list(divergence.x) == [0.0, 1.0]


def test_the_lens_draws_a_line_per_variant_with_its_own_dash():
    points = pd.DataFrame([("IT", 1, 0.1), ("IT", 2, 0.5), ("FT", 1, 0.1), ("FT", 2, 0.2)], columns=["variant", "layer", "mass"])
    it, ft = lens_chart(points).data
    assert (it.name, list(it.y)) == ("IT", [0.1, 0.5])
    assert it.line.dash != ft.line.dash
    assert it.marker.symbol != ft.marker.symbol


def test_activations_are_told_apart_by_shape_too():
    points = pd.DataFrame([("IT", "6.4", 0.6), ("FT", "6.4", 0.2)], columns=["variant", "neuron", "activation"])
    it, ft = activity_chart(points).data
    assert it.marker.symbol != ft.marker.symbol


def test_boxes_show_the_given_quantiles():
    points = pd.DataFrame([{"layer": 1, "projection": "into", "q0": 0.1, "q1": 0.3, "q2": 0.4, "q3": 0.5, "q4": 0.9}])
    (box,) = experts_chart(points).data
    assert (box.lowerfence[0], box.median[0], box.upperfence[0]) == (0.1, 0.4, 0.9)


def test_trained_variants_and_interventions_have_markers_of_their_own():
    points = pd.DataFrame({"model": ["IT", "IT + AURA 1"], "value": [0.5, 0.3], "perplexity": [2.0, 3.0], "kl": [math.nan, 0.1]})
    trained, changed = methods_chart(points).data
    assert (list(trained.text), list(changed.text)) == (["IT"], ["AURA"])
    assert trained.marker.symbol != changed.marker.symbol
