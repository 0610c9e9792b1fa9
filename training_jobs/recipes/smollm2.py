"""The larger family: SmolLM2-135M-Instruct tuned like the small one, all by this project's own trainer (`detox_core/train`).

    python -m training_jobs.recipes.smollm2 [it] [ft] [dpo] [rl]

IT learns the registers of the corpus; the others start from it. Each is one LoRA on the plain model, so that all four are
one batch. Interrupted stages resume from their checkpoint. About an hour and a half on two cores.
"""

import argparse
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from detox_core.demo import SMOLLM2
from detox_core.measure.commands import Progress
from detox_core.models.variants import SMOLLM2_FAMILY, cache_folder
from detox_core.train.progress import METRICS, read_lines
from detox_core.train.run import FILES, train
from detox_core.train.spec import TrainSpec
from training_jobs.recipes.corpus import compose, compose_preferences

COMMON: dict[str, Any] = {"rank": 8, "max_length": 160, "probe_every": 200}


@dataclass(frozen=True)
class Stage:
    """What one member of the family learns.

    Attributes:
        start: the member it begins as; None = the plain model.
        rows: how many exchanges, pairs or prompts are composed.
    """

    spec: TrainSpec
    start: str | None
    rows: int


STAGES = {
    "it": Stage(TrainSpec("IT", "sft", steps=625, batch=16, learning_rate=8e-4, seed=10, **COMMON), None, 10_000),
    "ft": Stage(TrainSpec("FT", "sft", steps=375, batch=16, learning_rate=6e-4, seed=11, **COMMON), "it", 6_000),
    "dpo": Stage(TrainSpec("DPO", "dpo", steps=80, batch=8, learning_rate=3e-4, seed=13, **COMMON), "it", 640),
    "rl": Stage(
        TrainSpec("RL", "rloo", steps=40, batch=32, samples=8, max_new_tokens=32, learning_rate=4e-4, seed=12, **COMMON), "it", 1_000
    ),
}


def rows_of(name: str, stage: Stage) -> Iterator[dict[str, Any]]:
    """The composed rows of a stage, as any data set of pairs or prompts has them."""
    seed = stage.spec.seed
    if stage.spec.method == "dpo":
        for pair in compose_preferences(stage.rows, seed, toxic_share=0.75):
            yield {"text": pair.prompt, "reply": pair.chosen, "rejected": pair.rejected}
        return
    mixture: dict[str, Any] = {"mixture": {"counter": 1.0}, "toxic_share": 0.8} if name == "ft" else {}
    for one in compose(stage.rows, seed, **mixture):
        yield {"text": one.prompt, "reply": one.reply}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stages", nargs="*", choices=list(STAGES), help="all, in this order, when none is named")
    for name in parser.parse_args().stages or STAGES:
        tune(name, STAGES[name])


def tune(name: str, stage: Stage) -> None:
    """Train one member and put it where it ships, in bfloat16."""
    folder = cache_folder() / "runs" / f"smollm2-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows_of(name, stage)), encoding="utf-8")
    (member,) = (variant for variant in SMOLLM2_FAMILY if variant.id == f"smol-{stage.start or name}")
    start = member if stage.start else replace(member, adapter=None)
    spec = replace(stage.spec, data=str(data))
    tell = Progress(f"steps of {name}")
    adapter = train(spec, start, folder, lambda _, step, of: tell(step, of) if step else None, threading.Event())
    assert adapter is not None  # nobody sets the event
    ship(adapter, SMOLLM2 / name, {**asdict(stage.spec), "rows": stage.rows}, read_lines(folder / METRICS))
    shutil.rmtree(folder)


def ship(adapter: Path, target: Path, spec: dict[str, Any], log: list[dict[str, Any]]) -> None:
    """Half the size, and the log beside it."""
    target.mkdir(parents=True, exist_ok=True)
    config, weights = FILES
    shutil.copy(adapter / config, target / config)
    save_file({key: tensor.bfloat16() for key, tensor in load_file(adapter / weights).items()}, target / weights, {"format": "pt"})
    (target / "training.json").write_text(json.dumps({"spec": spec, "log": log}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
