"""Colours stay apart for every eye and without colour, and are the same in the theme and in the charts."""

import tomllib
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from detox_core.figures.colors import COLORS, RAMPS
from detox_core.figures.flows import GREY, SHADES, TEXT
from detox_core.figures.steps import DASHES
from detox_core.figures.strip import SYMBOLS

THEMES = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
FRAME = (Path(__file__).parents[2] / "pages" / "frame.css").read_text(encoding="utf-8")
EYES = {  # linear RGB as seen: Machado, Oliveira & Fernandes 2009, severity 1
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
WHITE = XYZ.sum(axis=1)
APART = 15  # CIE 1976 colour difference


def linear(color: str) -> np.ndarray:
    value = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(color: str, eye: str = "usual") -> np.ndarray:
    """L*, a*, b* of a colour as an eye sees it."""
    ratio = XYZ @ np.clip(np.array(EYES[eye]) @ linear(color), 0, 1) / WHITE
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(one: str, other: str, eye: str) -> float:
    return float(np.linalg.norm(lab(one, eye) - lab(other, eye)))


def contrast(one: str, other: str) -> float:
    """Ratio of luminances as in WCAG 2."""
    low, high = sorted(XYZ[1] @ linear(color) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def test_the_measures_are_right_for_known_colours():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert lab("#ffffff") == pytest.approx([100, 0, 0], abs=0.01)
    assert lab("#ff0000") == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert difference("#ff0000", "#00c000", "usual") > 5 * difference("#c02000", "#507000", "deuteranopia")


@pytest.mark.parametrize("theme", COLORS)
@pytest.mark.parametrize("eye", EYES)
def test_variants_keep_apart_for_every_eye(theme, eye):
    pairs = {pair: difference(*pair, eye) for pair in combinations(COLORS[theme], 2)}
    assert {pair: found for pair, found in pairs.items() if found < APART} == {}


@pytest.mark.parametrize("theme", COLORS)
def test_variants_are_seen_on_the_page_and_also_told_by_dash_and_marker(theme):
    assert all(contrast(color, THEMES[theme]["backgroundColor"]) >= 3 for color in COLORS[theme])
    assert len(set(DASHES)) == len(set(SYMBOLS)) == len(COLORS[theme])


@pytest.mark.parametrize("theme", RAMPS)
@pytest.mark.parametrize("eye", EYES)
def test_toxicity_goes_one_way_from_dark_to_light_for_every_eye_and_in_grey(theme, eye):
    for ramp in (RAMPS[theme], THEMES[theme]["chartSequentialColors"]):
        steps = np.diff([lab(color, eye)[0] for color in ramp])
        assert (steps > 0).all() if theme == "dark" else (steps < 0).all()
    assert all(difference(*pair, eye) >= APART for pair in pairwise(RAMPS[theme]))


@pytest.mark.parametrize("theme", RAMPS)
@pytest.mark.parametrize("eye", EYES)
def test_buckets_and_what_is_not_scored_keep_apart(theme, eye):
    shown = [GREY[theme], *(RAMPS[theme][shade] for shade in SHADES.values())]
    assert all(difference(*pair, eye) >= APART for pair in combinations(shown, 2))


@pytest.mark.parametrize("theme", COLORS)
def test_theme_and_charts_have_the_same_colours(theme):
    assert tuple(THEMES[theme]["chartCategoricalColors"]) == COLORS[theme]
    assert tuple(THEMES[theme]["chartSequentialColors"][::2]) == RAMPS[theme]
    assert THEMES[theme]["textColor"] == TEXT[theme]
    assert f"light-dark({THEMES['light']['primaryColor']}, {THEMES['dark']['primaryColor']})" in FRAME


@pytest.mark.parametrize("theme", COLORS)
def test_text_can_be_read(theme):
    colors = THEMES[theme]
    for background in (colors["backgroundColor"], colors["secondaryBackgroundColor"]):
        assert contrast(colors["textColor"], background) >= 7
        assert contrast(colors["primaryColor"], background) >= 4.5
