"""The whole protocol of Scalena et al. 2023 on a model of one's own: train FT and RL, measure and explain all three."""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from detox_core.compare import Pool
from detox_core.data import get_dataset
from detox_core.errors import BadInput
from detox_core.measure.entropy import events_of, explain_many, steps_of
from detox_core.measure.measurement import NAME
from detox_core.measure.meter import measure_into, settings_for
from detox_core.measure.summary import summary
from detox_core.models.variants import cache_folder, get_variants
from detox_core.score import get_scorer
from detox_core.train.progress import ADAPTER
from detox_core.train.run import train
from detox_core.train.spec import TrainSpec, spec_from
from detox_core.types import Decoding, Variant

PROTOCOL = Path(__file__).with_name("paper.yaml")
OnProgress = Callable[[str], Callable[[int, int], None]]  # what is done -> progress of it


def read_protocol(path: Path = PROTOCOL, model: str | None = None, limit: int | None = None) -> dict[str, Any]:
    """The protocol with both training specs checked.

    Args:
        model: takes the place of the file's.
        limit: at most so many prompts, and so many training steps.

    Raises:
        BadInput: the file cannot be read or lacks a part; names it.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        model = model or found["model"]
        for stage in ("ft", "rl"):
            steps = min(found[stage].get("steps", 200), limit or 10**9)
            found[stage] = spec_from({**found[stage], "name": f"{stage.upper()} of {model}", "base": model, "steps": steps})
        return {**found, "model": model, "limit": limit, "measure": dict(found["measure"]), "explain": dict(found["explain"])}
    except (OSError, yaml.YAMLError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from error
    except (KeyError, TypeError) as error:
        raise BadInput(f"{path} is no protocol: it needs model, ft, rl, measure and explain ({error}).") from error


def commands(protocol: dict[str, Any]) -> list[str]:
    """The same step by step, by command."""
    limit = f" --limit {protocol['limit']}" if protocol["limit"] else ""
    measured = protocol["measure"]
    variants = f"{protocol['model']},FT,RL"
    return [
        *(f"python -m detox_core train {stage}.yaml --wait   # {json.dumps(asdict(protocol[stage]))}" for stage in ("ft", "rl")),
        f"python -m detox_core measure --dataset {measured['dataset']} --variants {variants} --samples {measured['samples']} "
        f"--scorer {' '.join(measured['scorers'])}{limit} --json",
        f"python -m detox_core explain --dataset {protocol['explain']['dataset']} --variants {variants}{limit} --json",
    ]


def reproduce_paper(protocol: dict[str, Any], folder: Path, progress: OnProgress) -> dict[str, Any]:
    """Train, measure and explain; every part that `folder` has already is not done again.

    Returns:
        `variants`, `measure` (see `summary`), `explain` (`steps` and `events`), `commands`.

    Raises:
        BadInput, ModelError, ScorerError: a part cannot be run; what is done stays.
    """
    (untouched,) = get_variants([protocol["model"]])
    variants = [untouched, *(_stage(protocol[stage], untouched, folder / stage, progress) for stage in ("ft", "rl"))]
    measured, limit = protocol["measure"], protocol["limit"]
    prompts = get_dataset(measured["dataset"])[:limit]
    scorers, pool = [get_scorer(name) for name in measured["scorers"]], Pool()
    settings = settings_for(measured["dataset"], prompts, variants, Decoding(samples=measured["samples"]), scorers, pool)
    rows = measure_into(folder / NAME, settings, prompts, scorers, pool, progress("prompts measured"))
    asked = get_dataset(protocol["explain"]["dataset"])[:limit]
    explained = explain_many(asked, variants, scorers[0], folder / "explain.jsonl", on_progress=progress("prompts explained"))
    return {
        "variants": [asdict(variant) for variant in variants],
        "measure": summary(settings, rows),
        "explain": {"steps": steps_of(explained, untouched.id), "events": events_of(explained)},
        "commands": commands(protocol),
    }


def _stage(spec: TrainSpec, untouched: Variant, folder: Path, progress: OnProgress) -> Variant:
    """One tuned variant, trained unless its folder has it."""
    if not (folder / ADAPTER).is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        tell = progress(f"steps of {spec.name}")
        train(spec, untouched, folder, lambda _phase, step, steps: tell(step, steps) if step else None, threading.Event())
    return replace(untouched, id=spec.name.split()[0].lower(), label=spec.name.split()[0], adapter=str(folder / ADAPTER), about=spec.name)


def default_folder(protocol: dict[str, Any]) -> Path:
    """Where a protocol's results are kept when nobody names a folder."""
    name = "".join(letter if letter.isalnum() else "-" for letter in f"paper-{protocol['model']}-{protocol['limit'] or 'all'}".lower())
    return cache_folder() / "runs" / name
