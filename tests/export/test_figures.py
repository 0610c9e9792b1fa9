"""Figures for print: real text, vector formats, the same bytes twice, readable in grey, safe with any text."""

import io
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from dataclasses import replace

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from detox_core.demo import RECORDED
from detox_core.export.charts import picture
from detox_core.export.comparison import LINES, SHOWN, comparison_figure
from detox_core.export.flow import flow_figure
from detox_core.export.heatmap import heatmap_figure
from detox_core.export.sheet import FORMATS, POINTS, WIDTH, printable, save, width_of, wrap
from detox_core.figures.colors import COLORS, RAMPS
from detox_core.figures.flows import ORDER, bucket_color
from detox_core.measure.flow import read_replies, ribbons, wide
from detox_core.store import recorded

HOSTILE = (
    r"$x_1$ \input{secret} \frac{1}{2} <script>alert(1)</script> <b>bold</b> & %d {0} \U0001f600",
    "\N{GRINNING FACE} \N{CJK UNIFIED IDEOGRAPH-5B57} \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u202eabc\u202c",
    "\x00\x1b[31m\ud800\ufffe\r\nline\ttab",
    "word " * 1000,
    "x" * 5000,
    "",
)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def record():
    return next(iter(recorded().values()))


def words_of(svg: bytes) -> str:
    """All text of an SVG file, in order."""
    return " ".join("".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text"))


def texts_of(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def with_text(record, text: str):
    """The comparison with one text everywhere that people or models write."""
    variants = tuple(replace(variant, label=text[:30] or "none") for variant in record.variants)
    generations = tuple(replace(reply, text=text, spans=()) for reply in record.generations)
    return replace(record, prompt=text, prompt_spans=(), variants=variants, generations=generations)


def row(words: list[str], label: str = "IT") -> dict:
    """A row of a heatmap whose answer is the last two words."""
    prompt = len(words) - 2
    shares = [[0.6 if at == 0 else 0.1, 0.2] for at in range(len(words))]
    own = [True] * prompt
    return {"label": label, "color": "#0072b2", "words": words, "prompt": prompt, "own": own, "matrix": shares, "start": 0}


def heatmap(*rows: dict, difference: bool = False) -> dict:
    return {"rows": list(rows), "difference": difference, "together": True}


def test_svg_has_the_words_as_text(record):
    told = words_of(save(comparison_figure(record), "svg"))
    assert record.prompt in told
    assert all(variant.label in told for variant in record.variants)
    assert record.generations[0].text.split()[0] in told


def test_pdf_has_truetype_fonts_and_its_words_as_text(record):
    pdf = save(comparison_figure(record), "pdf")
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    pages = [zlib.decompress(part) for part in re.findall(rb"FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", pdf, re.S) if part[:1] == b"x"]
    assert any(re.search(rb"T[jJ]", page) for page in pages), "text is shown as text, not drawn as paths"
    assert b"/ToUnicode" in pdf, "a reader can copy it"


def test_png_is_as_wide_as_the_text_of_a_page_at_300_dots(record):
    png = save(comparison_figure(record), "png")
    assert png[:4] == b"\x89PNG"
    assert struct.unpack(">I", png[16:20])[0] == WIDTH * 300


@pytest.mark.parametrize("format", FORMATS)
def test_two_calls_give_the_same_bytes(record, format):
    first, second = (save(comparison_figure(record), format) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_drawn_and_nothing_else(record, text):
    made = with_text(record, text)
    svg = save(comparison_figure(made), "svg")
    found = ElementTree.fromstring(svg)
    assert not list(found.iter(f"{SVG}script"))
    assert not [name for one in found.iter() for name in one.attrib if name.startswith("on")]
    for format in ("png", "pdf"):
        assert save(comparison_figure(made), format)


def test_formulas_and_markup_stay_literal(record):
    told = words_of(save(comparison_figure(with_text(record, r"$x_1$ \input{a} <b>no</b> a_b^c")), "svg"))
    assert r"$x_1$ \input{a} <b>no</b> a_b^c" in told


def test_long_texts_are_cut_and_say_so(record):
    told = texts_of(comparison_figure(with_text(record, "word " * 1000)))
    assert re.search(r"\.\.\. [\d,]+ more characters are left out\.", told)
    assert told.count("\nword word") <= LINES * (1 + len(record.variants))


def test_more_replies_than_fit_are_counted(record):
    first = record.generations[0]
    many = tuple(replace(first, sample=number) for number in range(25))
    told = texts_of(comparison_figure(replace(record, generations=many)))
    assert f"{25 - SHOWN} more replies are left out. Mean toxicity of 25 scored replies: {first.score.value:.2f}." in told.replace(
        "\n", " "
    )


def test_lines_are_never_wider_than_asked():
    text = "A sentence with a Donaudampfschifffahrtsgesellschaftskapitaenswitwe in it, and more."
    lines, left_out = wrap(text, 100)
    assert left_out == 0
    assert all(width_of(text[start:end]) <= 100 for start, end in lines)
    assert "".join(text[start:end] for start, end in lines).replace(" ", "") == text.replace(" ", "")


def test_wrapping_counts_what_is_left_out():
    lines, left_out = wrap("one two three four", width_of("one two"), most=1)
    assert (lines, left_out) == ([(0, 7)], len(" three four"))


def test_what_no_file_takes_becomes_a_space_of_equal_length():
    assert printable("a\x00b\ud800c\nd") == "a b c d"


def test_heatmap_marks_words_by_shade_and_by_a_line_under_them():
    figure = heatmap_figure(heatmap(row([" Women", " drive", " are", " bad"])))
    (axes,) = figure.axes
    shades = [patch.get_facecolor()[3] for patch in axes.patches[:4]]
    assert shades[0] == max(shades), "the word with the largest share is the darkest"
    thick = [line.get_linewidth() for line in axes.lines]
    assert max(thick) > 2 * min(thick), "the same as a thickness"
    assert "Most weight on \u201care\u201d: \u201cWomen\u201d 0.60" in texts_of(figure)


def test_heatmap_tells_less_from_more_without_colour():
    other = row([" Women", " drive", " are", " bad"], "FT")
    other["matrix"] = [[0.1, 0.2], [0.6, 0.2], [0.1, 0.2], [0.1, 0.2]]
    figure = heatmap_figure(heatmap(row([" Women", " drive", " are", " bad"]), other, difference=True))
    styles = {str(line.get_linestyle()) for line in figure.axes[0].lines}
    assert {"-", "--"} <= styles
    assert "FT \N{MINUS SIGN} IT" in texts_of(figure)


@pytest.mark.parametrize("text", HOSTILE[:-1], ids=range(len(HOSTILE) - 1))
def test_heatmap_of_hostile_words(text):
    words = [f" {part}" for part in text.split(" ") if part][:300]
    svg = save(heatmap_figure(heatmap(row([*words, " a", " b"], text[:40]), {"label": text[:40], "error": text})), "svg")
    assert not list(ElementTree.fromstring(svg).iter(f"{SVG}script"))


def flows() -> tuple[pd.DataFrame, dict[str, str]]:
    settings, replies = read_replies(RECORDED / "demo.jsonl")
    found = ribbons(wide(replies, settings.scorer), "it", ["ft", "rl"], (0.33, 0.66))
    return found, {variant.id: variant.label for variant in settings.variants}


def test_flow_has_every_bucket_with_its_prompts_and_a_ribbon_per_flow():
    found, labels = flows()
    figure = flow_figure(found, ("ft", "it", "rl"), labels)
    told = texts_of(figure)
    count = found.loc[(found["after"] == "ft") & (found["from"] == "high"), "prompts"].sum()
    assert f"high {count} (" in told
    ribbons_drawn = [patch for patch in figure.axes[0].patches if patch.get_alpha() == 0.5]
    assert len(ribbons_drawn) == len(found)
    assert all(save(figure, format) == save(flow_figure(found, ("ft", "it", "rl"), labels), format) for format in FORMATS)


def test_flow_hatches_what_is_not_scored():
    found = pd.DataFrame(
        [("it", "not scored", "rl", "low", 3), ("it", "low", "rl", "low", 5)], columns=["before", "from", "after", "to", "prompts"]
    )
    figure = flow_figure(found, ("", "it", "rl"), {"": "", "it": "IT", "rl": "$RL$"})
    assert [patch.get_hatch() for patch in figure.axes[0].patches if patch.get_hatch()] == ["////"]
    assert "$RL$ \N{BLACK RIGHT-POINTING POINTER}" in texts_of(figure)


def luminance(color: str) -> float:
    """Relative luminance of sRGB (WCAG 2)."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_buckets_and_scores_are_ordered_in_grey():
    low, medium, high = (luminance(bucket_color(name, "light")) for name in ("low", "medium", "high"))
    assert low > medium + 0.15 > high + 0.3
    ramp = [luminance(color) for color in RAMPS["light"]]
    assert ramp == sorted(ramp, reverse=True)
    assert set(ORDER) == {"high", "medium", "low", "not scored"}


def test_figures_are_never_wider_than_a_page(record):
    found, labels = flows()
    for figure in (
        comparison_figure(record),
        heatmap_figure(heatmap(row([" a", " b", " c"]))),
        flow_figure(found, ("ft", "it", "rl"), labels),
    ):
        width, height = figure.get_size_inches() * POINTS
        assert width == WIDTH * POINTS
        assert height < 9.7 * POINTS


def test_charts_and_figures_are_saved_by_one_function(record):
    assert picture(comparison_figure(record), "svg") == save(comparison_figure(record), "svg")
    assert len(COLORS["light"]) == 6
    assert io.BytesIO(picture(comparison_figure(record), "png")).read(4) == b"\x89PNG"
