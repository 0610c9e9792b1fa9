"""The HTML card shows foreign text literally and carries no script."""

import math
from html.parser import HTMLParser

import pytest

from detox_core.export.report import html_card, html_report
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


def report_of(*prompts: str, notes=()) -> str:
    made = [Comparison(f"id{at}", "2026-01-01", prompt, (), Decoding(), "local") for at, prompt in enumerate(prompts)]
    return html_report("My <b>stage</b>", made, notes)


def test_report_lists_its_steps_and_links_them():
    report = report_of("First", "Second")
    assert '<a dir="auto" href="#step-2">Second</a>' in report
    assert '<section id="step-2">' in report
    assert "Toxic language follows" in report


def test_report_shows_hostile_titles_notes_and_prompts_literally():
    tags = Tags()
    tags.feed(report_of(HOSTILE, HOSTILE, notes=[HOSTILE]))
    assert not {"img", "script", "b"} & set(tags.tags)
    assert tags.text.count(HOSTILE) == 1 + 2 + 2 * 2, "the note, the prompts, and both in contents and headings"
    assert "My <b>stage</b>" in tags.text


def test_report_of_nothing_says_so():
    assert "There is no step" in report_of()


def test_long_prompts_are_cut_in_the_contents_only():
    report = report_of("word " * 400)
    assert report.count("word ") == 400 + 2 * 15
