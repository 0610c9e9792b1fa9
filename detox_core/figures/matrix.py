"""An attribution matrix as a picture: what was read down the side, what was written along the top."""

import plotly.graph_objects as go

LONGEST = 40  # rows and columns that can still be read


def matrix_chart(texts: list[str], prompt: int, shares: list[list[float]]) -> go.Figure:
    """At most the last 40 words of the prompt, and below them the answer; along the top the first 40 words of the answer.

    Args:
        texts: words of prompt and answer.
        prompt: how many of them are the prompt's.
        shares: (words, answer words); columns sum to 1.
    """
    wide = min(len(texts) - prompt, LONGEST)
    first = max(0, prompt - max(LONGEST - wide, LONGEST // 2))
    rows = range(first, min(first + LONGEST, prompt + wide - 1 if wide > 1 else prompt))
    names = [f"{number + 1} {texts[number].strip()}" for number in range(len(texts))]  # numbers keep equal words apart
    figure = go.Figure(
        go.Heatmap(
            x=names[prompt : prompt + wide],
            y=[names[row] for row in rows],
            z=[[shares[row][column] if row < prompt + column else None for column in range(wide)] for row in rows],
            colorscale="Oranges",
            zmin=0,
            hovertemplate="\u201c%{x}\u201d hangs on \u201c%{y}\u201d: %{z:.3f}<extra></extra>",
            colorbar={"title": "share", "thickness": 12},
            hoverongaps=False,
        )
    )
    if first < prompt < first + len(rows):
        figure.add_hline(y=prompt - first - 0.5, line={"width": 1, "color": "gray"})
    figure.update_layout(
        height=max(260, 110 + 17 * len(rows)),
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis={"side": "top", "tickangle": -60, "tickfont": {"size": 11}},
        yaxis={"autorange": "reversed", "tickfont": {"size": 11}},
    )
    return figure
