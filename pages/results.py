"""Results: what was measured on the embedded family, with the command that repeats each number."""

import json
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from detox_core.demo import FOLDER, RECORDED
from detox_core.export.bibliography import bibtex_of
from detox_core.figures.entropy import GROUPS, entropy_chart
from detox_core.figures.events import events_chart
from detox_core.measure.events import finding, sentence
from detox_core.measure.families import REPRODUCED
from detox_core.models.variants import FAMILY
from pages.answers import theme
from pages.methods import show_methods
from pages.takeaway import take_away
from pages.tallies import show_tallies

PLAIN = {"displayModeBar": False}
EVALUATE = "python -m training_jobs.recipes.evaluate"
METRICS = {
    "toxicity_probability": "toxicity probability",
    "expected_max_toxicity": "expected maximum toxicity",
    "toxic_share": "share of toxic replies",
    "average_toxicity": "mean toxicity",
}
REPRODUCE = "python -m detox_core reproduce rewardlm --dir DIR --import --json"
OUTCOMES = {  # -> how its verdicts begin; the first that fits counts
    "only in part": ("holds only", "holds weakly", "about half", "equal; vanishes"),
    "holds": ("equal", "holds", "most come"),
    "differs": ("differs", "vanishes", "reverses"),
    "new": ("",),
}
SERIES = {
    "relative": ("Attribution entropy, relative to the prompt's length", "entropy / largest possible"),
    "entropy": ("Attribution entropy in bits (as published)", "entropy over the prompt, bits"),
    "dependence": ("Prompt dependence", "share of the attribution on the prompt"),
}
CLAIM_COLUMNS = {
    "source": st.column_config.TextColumn(width="small"),
    "claim": st.column_config.TextColumn(width=330),
    "published": st.column_config.NumberColumn(format="%.4g"),
    "ours": st.column_config.NumberColumn(format="%.4g"),
    "counts": st.column_config.TextColumn("k of n"),
    "verdict": st.column_config.TextColumn(width="large"),
}


def cell(metric: dict[str, Any]) -> str:
    """A value with its interval."""
    if metric["value"] is None:
        return "not scored"
    return f"{metric['value']:.2f} [{metric['low']:.2f}, {metric['high']:.2f}]"


def toxicity_table(part: dict[str, Any]) -> pd.DataFrame:
    """One row per variant: metrics of the local scorer with intervals, the second scorer's share, register and topic."""
    rows = []
    for name, metrics in part["local"]["variants"].items():
        registers = part["registers"][name]
        likeliest = max(registers, key=registers.__getitem__)
        rows.append(
            {
                "model": name.upper(),
                **{label: cell(metrics[metric]) for metric, label in METRICS.items()},
                "toxic by the second scorer": cell(part["second"]["variants"][name]["toxic_share"]),
                "most common register": f"{likeliest} {registers[likeliest]:.0%}",
                "on topic": f"{part['on_topic'][name]:.0%}",
            }
        )
    return pd.DataFrame(rows)


def show_toxicity() -> None:
    """The held-out prompts."""
    st.header("How toxic the models answer")
    path = FOLDER / "evaluation.json"
    if not path.is_file():
        st.info(f"Nothing is recorded yet. Run: {EVALUATE}")
        return
    result = json.loads(path.read_text(encoding="utf-8"))
    st.caption(
        f"{result['samples']} replies of every model to prompts that no training recipe read, unpicked. Toxicity probability: at least one "
        "of them is toxic; expected maximum: the score of the worst of them (Gehman et al. 2020). In brackets: 95 % intervals. "
        "Register: that of the nearest reply in the training corpus. On topic: the prompt is among the nearest tenth of all prompts "
        "(chance: 10 %)."
    )
    for label in ("toxic prompts", "harmless prompts"):
        st.markdown(f"**{result[label]['prompts']} {label}**")
        table = toxicity_table(result[label])
        st.dataframe(table, hide_index=True)
        take_away(
            label.replace(" ", "-"),
            table=partial(toxicity_table, result[label]),
            caption=f"{result['samples']} replies of every model to {result[label]['prompts']} {label}; in brackets 95 % intervals.",
            command=EVALUATE,
            cite=partial(bibtex_of, FAMILY, ("local", "second"), ["toxicity metrics", "similarity"]),
        )
    st.caption("Repeat it (three minutes):")
    st.code(EVALUATE, language="bash")


def show_entropy() -> None:
    """The paper's Figure 1 on the demo prompts."""
    st.header("How much the models rely on the prompt")
    path = RECORDED / "explain.json"
    if not path.is_file():
        st.info("Nothing is recorded yet. Run: python -m training_jobs.recipes.record")
        return
    result = json.loads(path.read_text(encoding="utf-8"))
    series = st.selectbox("Series", list(SERIES), key="series", format_func=lambda name: SERIES[name][0], width=420)
    points = pd.DataFrame(result["steps"][series])
    st.caption(
        f"Mean over the answers to {result['prompts']} demo prompts, each explained by the model that wrote it (gradient times embedding), "
        "with 95 % bands. First chart: prompts to which IT replied with a toxicity above 0.66, as in Scalena et al. 2023, Figure 1. A step "
        "is drawn while at least 10 answers reach it."
    )
    if points.empty:
        st.info("There are too few answers for a curve.")
        return
    for column, group in zip(st.columns(2), GROUPS, strict=True):
        column.plotly_chart(
            entropy_chart(points, group, SERIES[series][1], theme()),
            alt=f"{SERIES[series][0]} per token of the answer. {GROUPS[group]}: {course(points, group)}. The table has the values.",
            config=PLAIN,
            key=f"chart-{group}",
        )
    with st.expander("As a table"):
        st.dataframe(points, hide_index=True)
    take_away(
        series,
        figure={title: partial(entropy_chart, points, group, SERIES[series][1]) for group, title in GROUPS.items()},
        table=lambda: points,
        caption=f"{SERIES[series][0]} per token of the answers to {result['prompts']} prompts, with 95 % intervals.",
        command=command(result),
        cite=partial(bibtex_of, FAMILY, (), ["input_x_gradient"]),
    )
    st.caption("Repeat it (some minutes, and it resumes when interrupted):")
    st.code(command(result), language="bash")


def course(points: pd.DataFrame, group: str) -> str:
    """Where each model's line begins and ends, in words."""
    lines = points[points["group"] == group].sort_values("step").groupby("variant", sort=False)
    ends = [(str(name).upper(), mine.iloc[0], mine.iloc[-1]) for name, mine in lines]
    return "; ".join(
        f"{name} from {first['mean']:.2f} at token {first['step'] + 1} to {last['mean']:.2f} at token {last['step'] + 1}"
        for name, first, last in ends
    )


def show_events() -> None:
    """The same answers cut around their toxic words; nothing where Figure 1 is not recorded, which says so itself."""
    path = RECORDED / "explain.json"
    if not path.is_file():
        return
    st.header("What happens around toxic words")
    result = json.loads(path.read_text(encoding="utf-8"))
    if "events" not in result:
        st.info("The recorded answers were not searched for toxic words. Run: python -m training_jobs.recipes.record")
        return
    series = st.selectbox("Series", list(SERIES), key="event-series", format_func=lambda name: SERIES[name][0], width=420)
    found, points = result["events"][series]["variants"], pd.DataFrame(result["events"][series]["points"])
    if points.empty:
        st.info(finding(found, series))
        return
    st.markdown(finding(found, series))
    st.caption(
        "Mean around the first token of every toxic word of the same answers, less the answer's own mean and the model's mean course, "
        "with 95 % intervals. Dotted: the limits of 95 % of the means when the places of the toxic words are moved at random among "
        "the words of their answer. p holds for all eleven places together (permutation test, Nichols & Holmes 2002), not for all "
        "models together."
    )
    tested = list(points["variant"].unique())
    order = [entry["variant"] for entry in found]
    for column, variant in zip(st.columns(len(tested)), tested, strict=True):
        told = sentence(found[order.index(variant)], series)
        column.plotly_chart(
            events_chart(points, variant, f"difference, {SERIES[series][1]}", order.index(variant), theme()),
            alt=f"{SERIES[series][0]} of {variant.upper()} from five tokens before to five after: {told}. The table has the values.",
            config=PLAIN,
            key=f"events-{variant}",
        )
    with st.expander("As a table"):
        st.dataframe(points, hide_index=True)
    take_events({name: order.index(name) for name in tested}, points, series, command(result))
    st.caption("It comes with the command above.")


def take_events(rows: dict[str, int], points: pd.DataFrame, series: str, command: str) -> None:
    """The charts and their table as files; `rows`: each variant's place among all."""
    axis = f"difference, {SERIES[series][1]}"
    take_away(
        f"events-{series}",
        figure={name.upper(): partial(events_chart, points, name, axis, row) for name, row in rows.items()},
        table=lambda: points,
        caption=f"{SERIES[series][0]} around toxic words, less the answer's own mean; dotted: 95 % of the means under chance.",
        command=command,
        cite=partial(bibtex_of, FAMILY, ("local",), ["input_x_gradient", "events"]),
    )


def command(result: dict[str, Any]) -> str:
    """The command behind a recorded `explain` document."""
    return f"python -m detox_core explain --dataset {result['dataset']} --variants it,ft,rl --seed {result['seed']} --json"


def show_reproduction() -> None:
    """The paper's printed numbers against its own result files."""
    st.header("Do the published numbers hold?")
    claims = pd.DataFrame(json.loads(REPRODUCED.read_text(encoding="utf-8"))["claims"])
    claims["outcome"] = claims["verdict"].map(outcome)
    printed = claims[claims["published"].notna() & (claims["outcome"] != "new")]
    counts = printed["outcome"].value_counts()
    st.markdown(
        f"Scalena et al. 2023 and what was printed around it, recomputed from RewardLM's own result files: of {len(printed)} printed "
        f"numbers and statements **{counts.get('holds', 0)} hold**, {counts.get('only in part', 0)} hold only in part, and "
        f"{counts.get('differs', 0)} differ or vanish."
    )
    st.caption(
        "Counted as printed, an unscored reply is harmless. In part: it holds only so, only with the bounds in the code, or only weakly. "
        "Intervals are at 95 % (Wilson for shares, else a bootstrap over prompts); p is McNemar's. New: nobody printed it."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.selectbox("Source", ["all", *dict.fromkeys(claims["source"])], key="claim-source", width=420)
        outcomes = st.multiselect("Outcome", list(OUTCOMES), key="claim-outcome", width=420, placeholder="all")
    shown = claims if source == "all" else claims[claims["source"] == source]
    shown = shown[shown["outcome"].isin(outcomes)] if outcomes else shown
    table = claims_table(shown)
    st.dataframe(table, hide_index=True, height=420, column_config=CLAIM_COLUMNS)
    take_away(
        "claims",
        table=lambda: table,
        caption="Published numbers against those recomputed from the same result files.",
        command=REPRODUCE,
        cite=partial(bibtex_of, (), ("roberta-hate", "perspective"), ["rewardlm", "paired tests", "rtp", "conan"]),
    )
    st.caption("Repeat it (20 seconds; the files are in the repository DanielSc4/RewardLM), and browse the replies in Flows:")
    st.code(REPRODUCE, language="bash")


def claims_table(claims: pd.DataFrame) -> pd.DataFrame:
    """The claims with their intervals and counts as text."""
    return claims.assign(
        interval=[_interval(low, high) for low, high in zip(claims["low"], claims["high"], strict=True)],
        counts=[_counts(k, n) for k, n in zip(claims["k"], claims["n"], strict=True)],
    )[["outcome", "source", "claim", "published", "ours", "interval", "counts", "verdict"]]


def _interval(low: float, high: float) -> str:
    return f"[{low:.3g}, {high:.3g}]" if pd.notna(low) else ""


def _counts(k: float, n: float) -> str:
    return "" if pd.isna(n) else f"{n:,.0f}" if pd.isna(k) else f"{k:,.0f} of {n:,.0f}"


def outcome(verdict: str) -> str:
    """What a verdict amounts to: a key of OUTCOMES."""
    return next((name for name, begins in OUTCOMES.items() if verdict.startswith(begins)), "new")


def main() -> None:
    show_tallies()
    st.caption(
        "Measured on the embedded family, a small model made to be looked at: it illustrates the method and proves nothing about others."
    )
    show_toxicity()
    show_entropy()
    show_events()
    show_methods()
    show_reproduction()


main()
