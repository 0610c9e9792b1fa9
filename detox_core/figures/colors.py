"""Colours that stay apart under all common colour-vision deficiencies, for light and dark. Knows nothing else."""

# Variants, by column: after Okabe and Ito, each at least 3:1 against the page; grey, blue and purple (dark: yellow) for IT, FT, RL.
COLORS = {
    "light": ("#6e6e6e", "#0072b2", "#cc79a7", "#cc7900", "#3f99e6", "#1b985d"),
    "dark": ("#b5b5b5", "#56b4e9", "#f0c808", "#d99600", "#c76b9e", "#009e73"),
}
# Toxicity, low to high; the dark ramp rises in lightness, so that the most toxic stands out on black.
RAMPS = {
    "light": ("#fef0d9", "#fdcc8a", "#fc8d59", "#e34a33", "#b30000"),
    "dark": ("#3d2b1f", "#7a4020", "#b85c1e", "#ef8a3a", "#ffd49a"),
}


def toxicity_color(value: float, theme: str = "light") -> str:
    """The colour of a score in [0, 1]."""
    ramp = RAMPS[theme]
    return ramp[min(int(value * len(ramp)), len(ramp) - 1)]


def pale(color: str) -> str:
    """The colour of a band around a line."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.18)"
