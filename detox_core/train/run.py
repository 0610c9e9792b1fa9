"""Train an adapter as a spec says, through TRL and PEFT, and look at probe prompts on the way."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, prepare_model_for_kbit_training
from transformers import PrinterCallback, TrainerCallback, set_seed

from detox_core.data import get_dataset
from detox_core.errors import BadInput
from detox_core.generate import generate_many
from detox_core.models.loading import LoadedBase, fetch, load_base
from detox_core.score import get_scorer
from detox_core.train.progress import ADAPTER, METRICS, PROBED, append_line
from detox_core.train.rewards import as_reward_function
from detox_core.train.rows import rows_for
from detox_core.train.spec import TrainSpec
from detox_core.types import Decoding, Variant

PROBES = 8  # prompts of the demo set, the same for every run
FILES = ["adapter_config.json", "adapter_model.safetensors"]
OnStep = Callable[[str, int, int], None]  # phase, step, steps


def train(spec: TrainSpec, variant: Variant, folder: Path, tell: OnStep, stop: threading.Event) -> Path | None:
    """Train an adapter on `variant`; resumes from a checkpoint in `folder`.

    Writes into `folder`: `metrics.jsonl` (one line per logged step), `probes.jsonl` (replies to the probe prompts with their toxicity,
    by step), checkpoints, and at the end the adapter.

    Args:
        stop: when set, the run saves a checkpoint after the step it is in and ends.

    Returns:
        The folder of the adapter; None when it was stopped before its last step.

    Raises:
        BadInput, ModelError, ScorerError: the spec cannot be run.
    """
    set_seed(spec.seed)
    tell("loading the model", 0, spec.steps)
    base = load_base(*variant.base_key)
    rows = rows_for(spec, base, variant)
    model: Any = base.model
    if variant.quantization:
        model = prepare_model_for_kbit_training(model)
    config = None
    if variant.adapter:
        model = PeftModel.from_pretrained(model, str(fetch(variant.adapter, FILES)), is_trainable=True)
    else:
        config = LoraConfig(task_type="CAUSAL_LM", r=spec.rank, lora_alpha=2 * spec.rank, lora_dropout=0.0, target_modules="all-linear")
    trainer = _trainer(spec, model, config, base, Dataset.from_list(rows), folder)
    trainer.remove_callback(PrinterCallback)  # standard output belongs to whoever called
    trainer.add_callback(_Watch(spec, variant, base, folder, tell, stop))
    resuming = any(folder.glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=resuming)
    if trainer.state.global_step < spec.steps:
        if stop.is_set():
            return None
        raise BadInput(f"The run ended at step {trainer.state.global_step} of {spec.steps}.")
    tell("saving", trainer.state.global_step, spec.steps)
    return _save(trainer.model, folder / ADAPTER, variant.base)


def _trainer(spec: TrainSpec, model: Any, config: LoraConfig | None, base: LoadedBase, rows: Dataset, folder: Path) -> Any:
    """TRL's trainer for the method."""
    import trl

    gpu = torch.cuda.is_available()
    common: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": spec.steps,
        "per_device_train_batch_size": spec.batch,
        "learning_rate": spec.rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": min(20, spec.steps // 10),
        "bf16": gpu or bool(torch.cpu.get_capabilities().get("avx512_bf16")),
        "use_cpu": not gpu,
        "gradient_checkpointing": gpu,
        "seed": spec.seed,
        "logging_steps": max(1, min(10, spec.steps // 20)),
        "save_steps": max(20, spec.steps // 5),
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
    }
    shared: dict[str, Any] = {"model": model, "processing_class": base.tokenizer, "train_dataset": rows, "peft_config": config}
    if spec.method == "sft":
        return trl.SFTTrainer(args=trl.SFTConfig(**common, max_length=spec.max_length), **shared)
    if spec.method == "dpo":
        # The preference loss alone lowers the probability of both replies; the SFT term keeps the chosen one likely (Pang et al. 2024).
        losses: dict[str, Any] = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}
        return trl.DPOTrainer(args=trl.DPOConfig(**common, **losses, beta=spec.beta, max_length=spec.max_length), **shared)
    if spec.method == "kto":
        return trl.KTOTrainer(args=trl.KTOConfig(**common, beta=spec.beta, max_length=spec.max_length), **shared)
    sampling = {"num_generations": spec.samples, "max_completion_length": spec.max_new_tokens, "temperature": 1.0}
    options: dict[str, Any] = {**common, **sampling, "beta": spec.beta, "reward_weights": list(spec.scorers.values())}
    shared["reward_funcs"] = [_reward(name) for name in spec.scorers]
    if spec.method == "rloo":
        return trl.RLOOTrainer(args=trl.RLOOConfig(**options, num_iterations=2, steps_per_generation=1), **shared)
    return trl.GRPOTrainer(args=trl.GRPOConfig(**options), **shared)


def _reward(scorer: str) -> Any:
    reward = as_reward_function(partial(get_scorer, scorer))
    reward.__name__ = scorer  # TRL logs by it
    return reward


class _Watch(TrainerCallback):
    """Tells how far the run is, writes metrics and probes, and ends it when asked."""

    def __init__(self, spec: TrainSpec, variant: Variant, base: LoadedBase, folder: Path, tell: OnStep, stop: threading.Event) -> None:
        self.spec, self.variant, self.base, self.folder, self.tell, self.stop = spec, variant, base, folder, tell, stop
        self.probes = get_dataset("demo")[:: 330 // PROBES][:PROBES]

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        self.tell("training", state.global_step, state.max_steps)
        if state.global_step == 0:
            self._probe(model, 0)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        self.tell("training", state.global_step, state.max_steps)
        if state.global_step % self.spec.probe_every == 0 or state.global_step == state.max_steps:
            self._probe(model, state.global_step)
        if self.stop.is_set():
            control.should_training_stop = control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:  # noqa: ARG002
        kept = {name: value for name, value in (logs or {}).items() if isinstance(value, int | float | str)}
        numbers = {name: float(value) for name, value in kept.items() if _is_number(value)}
        append_line(self.folder / METRICS, {"step": state.global_step, "time": time.time(), **numbers})

    def _probe(self, model: Any, step: int) -> None:
        """Answer the probe prompts with the adapter as it is now."""
        was = model.training
        model.eval()
        now = LoadedBase(self.base.name, model, self.base.tokenizer, "", {"now": "default"})
        variant = Variant("now", "now", self.variant.base, "now", self.variant.template)
        decoding = Decoding(temperature=0, max_new_tokens=40)
        try:
            with torch.random.fork_rng(devices=[]):
                replies = [found[0] for found in generate_many(now, [(probe.text, 0) for probe in self.probes], [variant], decoding)]
        finally:
            model.train(was)
        scores = get_scorer(next(iter(self.spec.scorers))).score([reply.text for reply in replies])
        rows = zip(self.probes, replies, scores, strict=True)
        told = [{"prompt": p.text, "reply": r.text, "toxicity": round(s.value, 4) if s.scored else None} for p, r, s in rows]
        append_line(self.folder / PROBED, {"step": step, "probes": told})


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _save(model: Any, folder: Path, base: str) -> Path:
    """The adapter in safetensors, with the base it belongs to; a frozen reference copy is left out."""
    temporary = folder.with_suffix(".tmp")
    model.peft_config["default"].base_model_name_or_path = base
    targets: Sequence[str] | Any = model.peft_config["default"].target_modules
    if isinstance(targets, set):
        model.peft_config["default"].target_modules = sorted(targets)  # sets are written in another order each time
    model.save_pretrained(str(temporary), selected_adapters=["default"])
    (temporary / "README.md").unlink(missing_ok=True)  # an empty card
    if folder.exists():
        raise BadInput(f"{folder} exists already.")
    os.replace(temporary, folder)
    return folder
