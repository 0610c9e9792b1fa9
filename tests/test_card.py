"""The HTML card shows foreign text literally and carries no script."""

import math
from html.parser import HTMLParser

import pytest

from detox_core.card import html_card
from detox_core.types import Comparison, Decoding, Generation, Score, Span, Variant

HOSTILE = '<img src=x onerror="alert(1)"> & <script>alert(2)</script> $x$ **bold**'


class Tags(HTMLParser):
    """Collects tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def card() -> str:
    variants = (
        Variant("it", "IT <b>", "embedded/it", about="<i>about</i>"),
        Variant("ft", "FT", "embedded/it"),
        Variant("rl", "RL", "embedded/it"),
    )
    generations = (
        Generation("it", 0, HOSTILE, score=Score(0.91, "local", "r"), spans=(Span(0, 4, 1.0),)),
        Generation("rl", 0, "", score=Score(math.nan, "local", "r", reason="empty")),
    )
    score = Score(0.5, "local", "r")
    return html_card(
        Comparison("id1", "2026-01-01", HOSTILE, variants, Decoding(), "local", score, (), generations, {"ft": "no <adapter> folder"})
    )


def test_hostile_text_is_literal(card):
    tags = Tags()
    tags.feed(card)
    assert not {"img", "script", "b", "i", "adapter"} & set(tags.tags)
    assert tags.text.count(HOSTILE) == 2
    assert "IT <b>" in tags.text


def test_marks_scores_reasons_and_errors_are_shown(card):
    assert "<mark>&lt;img</mark>" in card
    assert "0.91, high toxicity" in card
    assert "not scored: empty" in card
    assert "no &lt;adapter&gt; folder" in card


def test_card_loads_nothing(card):
    assert "http://" not in card
    assert "https://" not in card
    assert "default-src 'none'" in card
