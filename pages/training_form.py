"""The form of the Train page: four choices, the rest folded away, and what the run would take."""

from dataclasses import asdict, fields
from functools import partial
from typing import Any

import psutil
import streamlit as st

from detox_core.data import DATASETS
from detox_core.data.filtering import saved
from detox_core.errors import BadInput, DetoxError
from detox_core.models.variants import get_variants, list_variants
from detox_core.score.registry import PRESETS as SCORERS
from detox_core.train.estimate import Estimate, estimate
from detox_core.train.spec import CHOICES, METHODS, TrainSpec, spec_from
from pages.measuring import duration
from pages.text import literal
from training_jobs import jobs

state = st.session_state
KEEP: dict[str, Any] = {"persist_state": "session"}
LABELS = {"smoke": "Try it", "small": "Small", "paper": "As in the paper", "long": "Long"}
CLONE = "clone"
REINFORCED = ("rloo", "grpo", "ppo")
LEAST_DISK = 2**30
FIELDS = {  # setting -> label, help, and the methods that have it
    "steps": ("steps", "Optimiser steps; for PPO batches of replies.", ()),
    "batch": ("batch", "Rows per step; replies per step when reinforcing.", ()),
    "rank": ("rank", "Width of the adapter on every linear layer (LoRA, Hu et al. 2022).", ()),
    "max_length": ("longest row", "Tokens of prompt and reply; longer rows are cut.", ("sft", "dpo", "kto")),
    "learning_rate": ("learning rate", "How far a step goes.", ()),
    "attention_entropy": ("attention entropy", "Weight of EAR: training must not rest on a few words (Attanasio et al. 2022).", ("sft",)),
    "beta": ("beta", "How dear it is to move away from the reference, by KL.", ("dpo", "kto", *REINFORCED)),
    "samples": ("replies per prompt", "They are compared with each other.", ("rloo", "grpo")),
    "mini_batch": ("mini-batch", "Replies per optimiser step; every batch is used four times.", ("ppo",)),
    "max_new_tokens": ("longest reply", "Tokens of a reply that is made for training.", REINFORCED),
    "similarity": ("reward: on topic", "Weight of the similarity of reply and prompt.", REINFORCED),
    "length": ("reward: length", "Weight of the reply's length; full from 20 words on.", REINFORCED),
    "kl_limit": ("KL limit", "Nats per token beyond which the guards speak.", REINFORCED),
    "probe_every": ("look every", "Steps between two looks at the probe prompts.", ()),
    "seed": ("seed", "The same seed and settings give the same adapter on the same CPU.", ()),
}
WORDS = {  # setting -> label, help, and the methods that have it
    "reference": (
        "KL measured to",
        "start = the model you begin with; base = the model without any adapter.",
        ("dpo", "kto", *REINFORCED),
    ),
    "reward": ("reward as", "Log-odds keep paying where a probability is flat.", REINFORCED),
    "unscored": ("unscorable replies", "Empty or other script: floor = worst reward; none = ignored.", REINFORCED),
    "guards": ("when it goes astray", "KL, entropy, repetition, a second scorer: warn, stop and save, or off.", ()),
}


def form() -> TrainSpec | None:
    """The choices as a spec; says what is wrong with them."""
    known = list_variants()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.segmented_control(
            "Method", list(METHODS), key="t-method", default="sft", required=True, format_func=lambda name: METHODS[name].label, **KEEP
        )
        sizes = jobs.presets(method) | ({CLONE: state[CLONE]["settings"]} if CLONE in state else {})
        if state.get("t-preset", "smoke") not in sizes:
            state["t-preset"] = "smoke"
        base = st.selectbox("Start from", list(known), key="t-base", format_func=lambda name: known[name].label, width=160, **KEEP)
        data = st.selectbox(
            "Data",
            [name for name in [*DATASETS, *map(str, saved())] if name != "demo-heldout"],
            1,
            key="t-data",
            format_func=lambda name: name.rsplit("/", 1)[-1],
            accept_new_options=True,
            width=240,
            help="Bundled, or made on the page Data: uploaded, filtered, starred. Or type a path.",
            **KEEP,
        )
        size = st.segmented_control(
            "Size", list(sizes), key="t-preset", default="smoke", required=True, format_func=partial(_size, sizes), **KEEP
        )
    st.caption(METHODS[method].about)
    suggested = free_name(f"{METHODS[method].label} {size if size != CLONE else 'again'}")
    name = st.text_input("Name", suggested, key=f"t-name-{suggested}", max_chars=60, width=320)
    preset = {key: value for key, value in sizes[size].items() if key != "method"}
    given: dict[str, Any] = {**preset, "name": name, "method": method, "base": base, "data": data}
    with st.expander("More settings"):
        given |= advanced(method, given)
    try:
        return spec_from(given)
    except BadInput as error:
        st.error(literal(str(error)), icon=":material/error:")
        return None


def _size(sizes: dict[str, dict[str, Any]], name: str) -> str:
    return f"As {state[CLONE]['name']}" if name == CLONE else f"{LABELS.get(name, name)}: {sizes[name]['steps']:,} steps"


def clone(settings: dict[str, Any]) -> None:
    """A run's settings as the form's; for a button."""
    rest = {key: value for key, value in settings.items() if key not in ("kind", "name", "method", "base", "data")}
    state[CLONE] = {"name": settings.get("name", "a run"), "settings": rest}
    state.update({"t-method": settings["method"], "t-base": settings.get("base", "it"), "t-preset": CLONE})
    state["t-data"] = settings.get("data", "counter-narratives")


def free_name(name: str) -> str:
    """The name, numbered where it is taken by a model or a run."""
    taken = {variant.label for variant in list_variants().values()} | {str(run.spec.get("name")) for run in jobs.runs("train")}
    return next(given for number in range(1, 1000) if (given := f"{name} {number}" if number > 1 else name) not in taken)


def advanced(method: str, given: dict[str, Any]) -> dict[str, Any]:
    """Everything else that the method has; what the preset says is the start."""
    defaults = {known.name: given.get(known.name, known.default) for known in fields(TrainSpec)}
    defaults["learning_rate"] = defaults["learning_rate"] or METHODS[method].rate
    found: dict[str, Any] = {}
    key = f"{method}-{state.get('t-preset')}-{state.get(CLONE, {}).get('name', '')}"
    with st.container(horizontal=True):
        for name, (label, help_, methods) in FIELDS.items():
            if methods and method not in methods:
                continue
            value = defaults[name]
            how: dict[str, Any] = (
                {"step": 1} if isinstance(value, int) else {"format": "%g", "step": max(value / 10, 1e-6) if value else 0.1}
            )
            found[name] = st.number_input(label, value=value, key=f"t-{name}-{key}", width=140, help=help_, **how)
    with st.container(horizontal=True):
        for name, (label, help_, methods) in WORDS.items():
            if not methods or method in methods:
                words = CHOICES[name]
                found[name] = st.segmented_control(label, words, key=f"t-{name}-{key}", default=defaults[name], required=True, help=help_)
        if METHODS[method].needs == "pairs" and st.toggle("Make the pairs here", defaults["best_of"] is not None, key=f"t-best-{key}"):
            help_ = "Of so many replies to a prompt the best and the worst by the scorer become a pair."
            found["best_of"] = st.number_input(
                "replies per prompt", 2, 64, defaults["best_of"] or 4, key=f"t-best-of-{key}", width=160, help=help_
            )
    if METHODS[method].needs == "prompts" or found.get("best_of"):
        before = [name for name in given.get("scorers", ["local"]) if name in SCORERS]
        chosen = st.multiselect("Not toxic by", list(SCORERS), before, key=f"t-scorers-{key}", format_func=lambda s: SCORERS[s].label)
        found["scorers"] = {scorer: given.get("scorers", {}).get(scorer, 1.0) for scorer in chosen}
    return found


def preflight(spec: TrainSpec) -> str | None:
    """What the run will take, and why it cannot start, if so."""
    try:
        (variant,) = get_variants([spec.base])
        found = estimate(spec, variant)
    except DetoxError as error:
        return str(error)
    free = psutil.virtual_memory().available
    disk = psutil.disk_usage(str(jobs.runs_folder().parent if jobs.runs_folder().parent.exists() else ".")).free
    lines = [*_sizes(found, spec), _time(spec)]
    lines.append(f"{free / 2**30:.1f} GiB of memory and {disk / 2**30:.0f} GiB of disk are free")
    if waiting := sum(run.active for run in jobs.runs()):
        lines.append(f"it will wait for {waiting} run{'s' if waiting > 1 else ''} before it")
    st.caption(literal(" · ".join(line for line in lines if line)))
    if found.leaked:
        shared = " and ".join(f"{count:,} prompts with {name}" for name, count in found.leaked.items())
        st.warning(
            f"This data shares {literal(shared)}. Measured there, the model would look better than it is.", icon=":material/visibility:"
        )
    if found.cut > 0.02:
        st.warning(f"{found.cut:.0%} of the rows are longer than {spec.max_length} tokens and will be cut.", icon=":material/content_cut:")
    return _reason(spec, found, free, disk)


def _reason(spec: TrainSpec, found: Estimate, free: int, disk: int) -> str | None:
    if not found.usable:
        needs = METHODS[spec.method].needs
        hint = " Or let the pairs be made here, under More settings." if needs == "pairs" else ""
        return f"{spec.data} has no {needs}, which {METHODS[spec.method].label} needs.{hint}"
    if found.memory and found.memory > free:
        return f"It needs about {found.memory / 2**30:.1f} GiB of memory. Take a smaller batch or model, or close other programs."
    if disk < LEAST_DISK:
        return "Less than 1 GiB of disk is free."
    if spec.name in {variant.label for variant in list_variants().values()}:
        return f"There is a model called {spec.name} already. Choose another name."
    return None


def _sizes(found: Estimate, spec: TrainSpec) -> list[str]:
    lines = [f"{found.used:,} of {found.usable:,} usable rows, each seen {found.passes:.1f} times"]
    if found.tokens:
        lines.append(f"about {found.tokens:.0f} tokens a row")
    if found.trainable and found.parameters:
        lines.append(f"trains {found.trainable:,} of {found.parameters + found.trainable:,} parameters")
    if found.memory:
        lines.append(f"about {found.memory / 2**30:.1f} GiB at its peak")
    if spec.best_of:
        lines.append(f"first {spec.best_of} replies to each of {min(found.used, spec.steps * spec.batch):,} prompts are made")
    return lines


def _time(spec: TrainSpec) -> str:
    """How long, by the last finished run that is most like it."""
    like = [run for run in jobs.runs("train") if run.state == "done" and run.spec.get("method") == spec.method and run.seconds]
    like = [run for run in like if run.spec.get("base") == spec.base]
    if not like:
        return ""
    pace = like[0].seconds / max(1, like[0].total) * (spec.batch / like[0].spec.get("batch", 8))
    return f"about {duration(pace * spec.steps)} at the pace of {like[0].spec.get('name')}"


def start(spec: TrainSpec) -> None:
    """Start was pressed."""
    state["t-run"] = jobs.submit("train", asdict(spec), spec.name).id
