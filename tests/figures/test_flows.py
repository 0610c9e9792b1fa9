"""The options of the flow diagram."""

import pandas as pd
import pytest

from detox_core.figures.flows import bucket_color, flow_chart, nodes_of

RIBBONS = pd.DataFrame(
    [("it", "high", "ft", "low", 3), ("it", "low", "ft", "low", 1), ("it", "high", "rl", "high", 3), ("it", "low", "rl", "not scored", 1)],
    columns=["before", "from", "after", "to", "prompts"],
)
THREE = ("ft", "it", "rl")
LABELS = {"it": "IT", "ft": "FT", "rl": "RL"}


def test_every_bucket_with_prompts_is_a_node_most_toxic_first():
    assert nodes_of(RIBBONS, THREE) == [(0, "low"), (1, "high"), (1, "low"), (2, "high"), (2, "not scored")]


def test_links_and_nodes_keep_the_order_that_a_click_gives_back():
    (series,) = flow_chart(RIBBONS, THREE, LABELS)["series"]
    assert [link["value"] for link in series["links"]] == RIBBONS["prompts"].tolist()
    assert [(node["name"], node["depth"]) for node in series["data"]][:2] == [("FT low", 0), ("IT high", 1)]
    assert (series["links"][0]["source"], series["links"][0]["target"]) == ("FT low", "IT high")
    assert (series["links"][2]["source"], series["links"][2]["target"]) == ("IT high", "RL high")


def test_labels_have_counts_and_shares():
    (series,) = flow_chart(RIBBONS, THREE, LABELS)["series"]
    assert [node["label"]["formatter"] for node in series["data"]] == [
        "low 4 (100%)",
        "high 3 (75%)",
        "low 1 (25%)",
        "high 3 (75%)",
        "not scored 1 (25%)",
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_ribbons_have_the_colour_they_come_from_in_both_halves(theme):
    (series,) = flow_chart(RIBBONS, THREE, LABELS, theme)["series"]
    assert [link["lineStyle"]["color"] for link in series["links"]] == [bucket_color(name, theme) for name in RIBBONS["from"]]
    assert len({bucket_color(name, theme) for name in ("low", "medium", "high", "not scored")}) == 4


def test_two_columns_alone():
    one = RIBBONS[RIBBONS["after"] == "rl"]
    options = flow_chart(one, ("", "it", "rl"), {"": "", **LABELS})
    assert [node["depth"] for node in options["series"][0]["data"]] == [1, 1, 2, 2]
    assert options["title"][0]["text"] == ""
