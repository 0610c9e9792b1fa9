"""RewardLM's published replies as measurements of this computer, so that Flows and Compare can browse them."""

import math
import re
from pathlib import Path

import pandas as pd

from detox_core.measure.families import SCORERS, VARIANTS, flows_frame, published
from detox_core.measure.measurement import NAME, Settings, write_measurement
from detox_core.measure.metrics import TOXIC
from detox_core.measure.report import Measured
from detox_core.models.variants import cache_folder
from detox_core.types import Decoding, Generation, Prompt, Score, Variant

REVISION = "as published by RewardLM, 2023"
UNSCORED = "no score in RewardLM's file"


def import_rewardlm(folder: Path) -> list[Path]:
    """Write one measurement per model and data set with at least two variants; the same files again replace the old ones.

    A prompt counts as toxic where RoBERTa, in RewardLM's files, scores it above 0.5.

    Returns:
        The files written.

    Raises:
        BadInput: see `flows_frame`.
    """
    frame, written = flows_frame(folder), []
    short = {long: name for name, long in published()["models"].items()}
    for (dataset, model), part in frame.groupby(["dataset", "model"], sort=False):
        if part["variant"].nunique() < 2:
            continue
        name = short.get(str(model), str(model))
        slug = re.sub(r"[^a-z0-9]+", "-", f"rewardlm-{name}-{dataset}".lower())
        path = cache_folder() / "runs" / slug / NAME
        write_measurement(path, *_measurement(str(dataset), str(model), name, part))
        written.append(path)
    return written


def _measurement(dataset: str, model: str, name: str, part: pd.DataFrame) -> tuple[Settings, list[Measured]]:
    there = [variant for variant in VARIANTS if variant in set(part["variant"])]
    about = f"{name} {{}} of Scalena et al. 2023, as published; the weights are not on this computer."
    variants = tuple(Variant(label.lower(), label, model, None if label == "IT" else label, about=about.format(label)) for label in there)
    source = f"RewardLM: {name} on {dataset}"
    rows = []
    for number, group in part.groupby("row"):
        by = group.set_index("variant")
        first = by.loc[there[0]]
        generations = tuple(
            Generation(variant.id, 0, by.loc[variant.label, "reply"], score=_score(by.loc[variant.label, "perspective"], "perspective"))
            for variant in variants
        )
        others = {"roberta": tuple(_score(by.loc[variant, "roberta"], "roberta") for variant in there)}
        judged = first["prompt_roberta"]
        toxic = None if math.isnan(judged) else bool(judged > TOXIC)
        rows.append(Measured(Prompt(str(number), first["prompt"], toxic), generations, None, others))
    revisions = dict.fromkeys(SCORERS, REVISION)
    return Settings(dataset, len(rows), variants, Decoding(), revisions, {}, source), rows


def _score(value: float, scorer: str) -> Score:
    return Score(float(value), scorer, REVISION, reason=UNSCORED if math.isnan(value) else None)
