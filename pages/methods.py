"""All interventions at their usual strength, measured on the demo prompts, beside what their papers report."""

import json
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from detox_core.demo import RECORDED
from detox_core.export.bibliography import bibtex_of
from detox_core.figures.methods import methods_chart
from detox_core.interventions.published import PUBLISHED
from detox_core.interventions.registry import METHODS
from detox_core.models.variants import FAMILY
from pages.answers import theme
from pages.takeaway import take_away

FILE = RECORDED / "interventions.json"
REPEAT = "python -m training_jobs.recipes.interventions"
NUMBER = st.column_config.NumberColumn
COLUMNS = {
    "model": st.column_config.TextColumn(width=215),
    "toxicity": st.column_config.TextColumn("mean toxicity", help="Local scorer, with its 95 % interval over prompts."),
    "change": st.column_config.TextColumn("against the plain model", help="Paired by prompt. No clear change: the interval holds 0."),
    "maximum": NUMBER("expected maximum", format="%.2f", help="Toxicity of the worst of the replies to a prompt."),
    "second": NUMBER("toxic, second scorer", format="percent", help="Share of replies. Empty where this scorer picked them itself."),
    "perplexity": NUMBER("perplexity", format="%.1f", help="Under the plain IT."),
    "distinct": NUMBER("distinct-2", format="%.2f", help="Share of different word pairs in all replies."),
    "kl": NUMBER("KL", format="%.2f", help="Nats per token from the plain model, on its own greedy replies."),
    "refused": NUMBER("refused", format="percent", help="Replies to harmless prompts that refuse, in full or in part."),
    "cost": NUMBER("cost", format="%.2f x", help="Time per token against the plain model, one prompt at a time."),
    "milliseconds": NUMBER("ms per token", format="%.1f", help="The same, on the computer where this was recorded."),
    "expected": NUMBER("expected cost", format="%.0f x", help="Passes through the model as the literature counts them."),
}


def show_methods() -> None:
    """The table, or how to make it."""
    st.header("What the other methods do")
    if not FILE.is_file():
        st.info(f"Nothing is recorded yet. Run: {REPEAT}")
        return
    result = json.loads(FILE.read_text(encoding="utf-8"))
    st.caption(
        f"{result['samples']} replies to each of {result['toxic_prompts']} toxic demo prompts by the small family, every method at its "
        f"usual strength; refusals on {result['harmless_prompts']} harmless ones. A method that lowers toxicity and raises perplexity far "
        "above IT's has broken the language with it."
    )
    table = methods_table(result)
    least, most = table.loc[table["value"].idxmin()], table.loc[table["value"].idxmax()]
    alt = f"Mean toxicity against perplexity of each method. Least toxic: {least['model']}, {least['value']:.2f}, perplexity"
    alt += f" {least['perplexity']:.1f}. Most: {most['model']}, {most['value']:.2f}. The table has the values."
    st.plotly_chart(methods_chart(table, theme()), alt=alt)
    st.dataframe(table.drop(columns="value"), hide_index=True, column_config=COLUMNS, height=600, placeholder="")
    take_away(
        "interventions",
        figure=partial(methods_chart, table),
        table=lambda: table.drop(columns="value"),
        caption=f"Interventions at their usual strength on {result['toxic_prompts']} toxic demo prompts, {result['samples']} replies each.",
        command=REPEAT,
        cite=partial(bibtex_of, FAMILY, ("local", "second"), ["toxicity metrics", "distinct", *METHODS]),
    )
    with st.expander("What the papers report"):
        st.caption("Other models, other prompts, other scorers: the direction can be compared with the table above, the numbers cannot.")
        st.dataframe(published_table(result), hide_index=True)
        take_away(
            "published",
            table=partial(published_table, result),
            caption="What the papers report for their methods, on other models, prompts and scorers.",
            cite=partial(bibtex_of, (), (), list(METHODS)),
        )
    st.caption("Repeat it (half an hour):")
    st.code(REPEAT, language="bash")


def methods_table(result: dict[str, Any]) -> pd.DataFrame:
    """One row per variant, plain ones first."""
    return pd.DataFrame(
        {
            "model": row["label"],
            "value": row["average_toxicity"]["value"],
            "toxicity": _cell(row["average_toxicity"]),
            "change": verdict(row["change"]),
            "maximum": row["expected_max_toxicity"]["value"],
            "second": None if row["method"] and METHODS[row["method"]].picks_by == "second" else row["second"]["value"],
            "perplexity": row["perplexity"]["value"],
            "distinct": row["distinct_2"]["value"],
            "kl": row["divergence"],
            "refused": row["refused"],
            "cost": row["cost"]["ratio"] if row["cost"] else None,
            "milliseconds": 1000 * row["cost"]["seconds_per_token"] if row["cost"] else None,
            "expected": row["cost"]["expected"] if row["cost"] else None,
        }
        for row in result["rows"]
    )


def verdict(change: dict[str, float] | None) -> str:
    """What a paired difference amounts to, in words."""
    if change is None:
        return ""
    told = f"{change['value']:+.2f}".replace("-", "\N{MINUS SIGN}")
    if change["low"] <= 0 <= change["high"]:
        return f"no clear change ({told})"
    return f"{'less' if change['value'] < 0 else 'more'} toxic ({told})"


def published_table(result: dict[str, Any]) -> pd.DataFrame:
    """Printed results beside the direction found here."""
    ours = {row["method"]: verdict(row["change"]) for row in result["rows"] if row["method"]}
    labels = {row["method"]: row["label"] for row in result["rows"]}
    return pd.DataFrame(
        {
            "method": labels[name],
            "here": ours[name],
            "published: before": one.before,
            "after": one.after,
            "of": one.metric,
            "on": one.model,
            "source": one.source,
        }
        for name, one in PUBLISHED.items()
        if name in ours
    )


def _cell(metric: dict[str, Any]) -> str:
    return "not scored" if metric["value"] is None else f"{metric['value']:.2f} [{metric['low']:.2f}, {metric['high']:.2f}]"
