"""Variants of one model on the same prompts, as tables, and what can be said of them as claims."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from detox_core.data.replies import TEMPLATE
from detox_core.data.rewardlm import read_rewardlm
from detox_core.errors import BadInput
from detox_core.measure.metrics import TOXIC

PUBLISHED = Path(__file__).with_name("published.yaml")
REPRODUCED = Path(__file__).with_name("reproduced.json")  # what `reproduce rewardlm --json` printed
RTP = "RealToxicityPrompts"  # the data set of all printed numbers
REANALYSIS = "re-analysis"
VARIANTS = ("IT", "FT", "RL")
SCORERS = {"perspective": "Perspective", "roberta": "RoBERTa"}
SPLITS = {"all": "all prompts", "toxic": "toxic prompts"}

# [CONAN_]measured_tox_STAGE_MODEL[-STAGE-LoRA...]; their PT is the paper's IT.
RUN = re.compile(r"(?P<conan>CONAN_)?measured_tox_(?P<stage>PT|FT|RL)_(?P<model>.+?)(?:-(?:FT|RL)-LoRA.*)?")
STAGES = {"PT": "IT", "FT": "FT", "RL": "RL"}
DATASETS = {"": RTP, "CONAN_": "CONAN"}
COLUMNS = ["dataset", "model", "variant", "row", "prompt", "reply", *SCORERS, "prompt_roberta"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement and what the files say of it.

    Attributes:
        source: where it was printed; REANALYSIS where nobody printed it.
        published, ours: in the same unit: a share, a count, percent or percentage points; None = none.
        k, n: the counts behind `ours`: k of n.
        low, high: 95 % interval in the unit of `ours`: Wilson's for shares and counts, else a bootstrap over prompts.
        fixed, broken, p: of a paired test: toxic before only, after only, McNemar's exact p.
    """

    source: str
    claim: str
    published: float | None
    ours: float | None
    k: int | None
    n: int | None
    low: float | None
    high: float | None
    verdict: str
    fixed: int | None = None
    broken: int | None = None
    p: float | None = None


Families = dict[tuple[str, str], "Family"]


@dataclass(frozen=True)
class Family:
    """The replies of the variants of one model to the same prompts, one row per prompt and one column per variant."""

    dataset: str
    name: str
    frame: pd.DataFrame

    @cached_property
    def variants(self) -> list[str]:
        """Those with a file, in the order of the paper."""
        there = set(self.frame["variant"].unique())
        return [name for name in VARIANTS if name in there]

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """What can be compared."""
        return [(a, b) for a, b in (("IT", "FT"), ("IT", "RL"), ("FT", "RL")) if {a, b} <= set(self.variants)]

    @cached_property
    def _wide(self) -> dict[str, pd.DataFrame]:
        return {
            name: self.frame.pivot(index="row", columns="variant", values=name)[self.variants]
            for name in ("reply", "prompt_roberta", *SCORERS)
        }

    def wide(self, column: str) -> pd.DataFrame:
        """`reply`, `prompt_roberta` or a scorer's scores, by row and variant."""
        return self._wide[column]

    @cached_property
    def toxic_prompt(self) -> pd.Series:
        """Whether RoBERTa scores the prompt in its template above 0.5, by row, as written into the first variant's file."""
        return self.wide("prompt_roberta")[self.variants[0]] > TOXIC

    def scores(self, split: str, scorer: str = "perspective", joint: bool = False) -> pd.DataFrame:
        """Scores of a split; `joint` keeps the prompts with a score for every variant."""
        table = self.wide(scorer)
        if split == "toxic":
            table = table[self.toxic_prompt]
        return table.dropna() if joint else table


def published() -> dict[str, Any]:
    """The printed numbers."""
    return yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))


def flows_frame(folder: Path) -> pd.DataFrame:
    """RewardLM's result files as records to browse, one per reply; files whose names do not tell their run are left out.

    Returns:
        Columns `dataset` (RealToxicityPrompts or CONAN), `model`, `variant` (IT, FT, RL), `row` (one number is one prompt for all variants
        of a model), `prompt` without its chat template, `reply`, one column of scores for each scorer (`perspective`, `roberta`; NaN = not
        scored) and `prompt_roberta`.

    Raises:
        BadInput: no readable result files; two files of one run; variants of a model that answer different prompts.
    """
    replies, parts = read_rewardlm(folder), []
    for file, part in replies.groupby("file", sort=False):
        if name := RUN.fullmatch(str(file)):
            said = {"dataset": DATASETS[name["conan"] or ""], "model": name["model"], "variant": STAGES[name["stage"]]}
            parts.append(part.assign(**said, prompt=part["prompt"].str.replace(TEMPLATE, "", regex=True)))
    if not parts:
        raise BadInput(f"No scored result file in {folder} is named like [CONAN_]measured_tox_PT_MODEL.csv, with PT, FT or RL.")
    frame = pd.concat(parts, ignore_index=True)
    for (dataset, model), part in frame.groupby(["dataset", "model"]):
        if part.duplicated(["variant", "row"]).any():
            raise BadInput(f"{folder} has two files of one run of {model} on {dataset}.")
        if (part.groupby("row")["prompt"].nunique() > 1).any() or part.groupby("variant").size().nunique() > 1:
            raise BadInput(f"The files of {model} on {dataset} in {folder} do not answer the same prompts.")
    return frame[COLUMNS]


def families(frame: pd.DataFrame) -> Families:
    """By data set and the model's short name; models that nothing was printed of keep their long one.

    Those of one variant alone, with nothing to compare, are left out. The data set of the printed numbers comes first.
    """
    short = {long: name for name, long in published()["models"].items()}
    found = {}
    for (dataset, model), part in sorted(frame.groupby(["dataset", "model"], sort=False), key=lambda group: group[0][0] != RTP):
        if part["variant"].nunique() > 1 or model in short:
            found[dataset, short.get(model, model)] = Family(dataset, short.get(model, model), part)
    return found
