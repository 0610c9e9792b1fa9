"""Train an adapter as a spec says, through TRL and PEFT, and look at probe prompts on the way."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, prepare_model_for_kbit_training
from transformers import PrinterCallback, TrainerCallback, set_seed

from detox_core.data import get_dataset
from detox_core.errors import BadInput
from detox_core.models.loading import LoadedBase, fetch, load_base
from detox_core.score import get_scorer
from detox_core.train.guards import Guards
from detox_core.train.pairs import made_pairs
from detox_core.train.progress import ADAPTER, METRICS, PROBED, WARNED, append_line
from detox_core.train.rows import as_columns, rows_for
from detox_core.train.sampling import replies_of
from detox_core.train.spec import TrainSpec
from detox_core.train.trainers import computes_in_bfloat16, trainer_for
from detox_core.types import Decoding, Variant

LARGE = 2**28  # bytes of a model from which its frozen weights are rounded to bfloat16
PROBES = 8  # prompts of the demo set, the same for every run
FILES = ["adapter_config.json", "adapter_model.safetensors"]
OnStep = Callable[[str, int, int], None]  # phase, step, steps


def train(spec: TrainSpec, variant: Variant, folder: Path, tell: OnStep, stop: threading.Event) -> Path | None:
    """Train an adapter on `variant`; resumes from a checkpoint in `folder`.

    Writes into `folder`: `metrics.jsonl` (one line per logged step), `probes.jsonl` (replies to the probe prompts with their toxicity,
    by step), `warnings.jsonl` (what the guards saw), checkpoints, and at the end the adapter.

    Args:
        stop: when set, the run saves a checkpoint after the step it is in and ends; guards that stop set it.

    Returns:
        The folder of the adapter; None when it was stopped before its last step, and in all processes but the first.

    Raises:
        BadInput, ModelError, ScorerError: the spec cannot be run.
    """
    if variant.interventions:
        raise BadInput(
            f"{variant.label} cannot be trained: an intervention changes it only while it writes. Train {variant.id.partition('+')[0]}."
        )
    set_seed(spec.seed)
    tell("loading the model", 0, spec.steps)
    base = load_base(*variant.base_key)
    for module in base.model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # bitsandbytes would repack 4-bit weights at the first probe, for inference only
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]
    if spec.best_of:
        pairs = made_pairs(spec, base, variant, folder, lambda done, of: tell(f"making pairs: prompt {done} of {of}", 0, spec.steps))
        rows = as_columns(spec, pairs)
    else:
        rows = rows_for(spec, base, variant)
    model, config = _trainable(spec, variant, base)
    trainer = trainer_for(spec, model, config, base, variant, rows, str(folder))
    if not any(parameter.requires_grad for parameter in trainer.model.parameters()):
        raise BadInput(f"Nothing in {variant.base} with its adapter can be trained.")
    trainer.remove_callback(PrinterCallback)  # standard output belongs to whoever called
    trainer.add_callback(_Watch(spec, variant, base, folder, tell, stop))
    resuming = any(folder.glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=resuming)
    if trainer.state.global_step < spec.steps:
        if stop.is_set():
            return None
        raise BadInput(f"The run ended at step {trainer.state.global_step} of {spec.steps}.")
    tell("saving", trainer.state.global_step, spec.steps)
    return (
        _save(trainer.accelerator.unwrap_model(trainer.model), folder / ADAPTER, variant.base) if trainer.is_world_process_zero() else None
    )


def _trainable(spec: TrainSpec, variant: Variant, base: LoadedBase) -> tuple[Any, LoraConfig | None]:
    """The model with its adapter, unfrozen; or the model and what its new adapter shall be."""
    model: Any = getattr(base.model, "base_model", base.model).model if isinstance(base.model, PeftModel) else base.model
    if variant.quantization:
        model = prepare_model_for_kbit_training(model, gradient_checkpointing_kwargs={"use_reentrant": False})
    elif base.bytes > LARGE and computes_in_bfloat16():
        model = model.to(torch.bfloat16)  # what is frozen needs no more; twice as fast, half the memory
    if variant.adapter:
        return PeftModel.from_pretrained(model, str(fetch(variant.adapter, FILES)), is_trainable=True), None
    return model, LoraConfig(task_type="CAUSAL_LM", r=spec.rank, lora_alpha=2 * spec.rank, lora_dropout=0.0, target_modules="all-linear")


class _Watch(TrainerCallback):
    """Tells how far the run is, writes metrics and probes, and ends it when asked."""

    def __init__(self, spec: TrainSpec, variant: Variant, base: LoadedBase, folder: Path, tell: OnStep, stop: threading.Event) -> None:
        self.spec, self.variant, self.base, self.folder, self.tell, self.stop = spec, variant, base, folder, tell, stop
        self.probes = get_dataset("demo")[:: 330 // PROBES][:PROBES]
        self.guards, self.warned = Guards(spec.kl_limit), set[str]()

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        self.tell("training", state.global_step, state.max_steps)
        if state.global_step == 0 and state.is_world_process_zero:
            self._probe(model, 0)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        self.tell("training", state.global_step, state.max_steps)
        if state.is_world_process_zero and (state.global_step % self.spec.probe_every == 0 or state.global_step == state.max_steps):
            self._probe(model, state.global_step)
        if _any(self.stop.is_set()):
            control.should_training_stop = control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:  # noqa: ARG002
        if not state.is_world_process_zero:
            return
        kept = {name: value for name, value in (logs or {}).items() if isinstance(value, int | float | str)}
        numbers = {name: float(value) for name, value in kept.items() if _is_number(value)}
        append_line(self.folder / METRICS, {"step": state.global_step, "time": time.time(), **numbers})
        if self.spec.guards != "off" and state.global_step < state.max_steps:
            self._guard(state.global_step, numbers)

    def _guard(self, step: int, numbers: dict[str, float]) -> None:
        """Write down what is newly wrong; stop if that was chosen."""
        found = self.guards.look(numbers)
        if new := {name: sentence for name, sentence in found if name not in self.warned}:
            append_line(self.folder / WARNED, {"step": step, "warnings": new})
        self.warned = {name for name, _ in found}
        if found and self.spec.guards == "stop":
            self.stop.set()

    def _probe(self, model: Any, step: int) -> None:
        """Answer the probe prompts with the adapter as it is now."""
        texts, decoding = [probe.text for probe in self.probes], Decoding(temperature=0, max_new_tokens=40)
        replies = [found[0] for found in replies_of(model, self.base, self.variant, texts, decoding)]
        scores = get_scorer(next(iter(self.spec.scorers))).score([reply.text for reply in replies])
        rows = zip(self.probes, replies, scores, strict=True)
        told = [{"prompt": p.text, "reply": r.text, "toxicity": round(s.value, 4) if s.scored else None} for p, r, s in rows]
        append_line(self.folder / PROBED, {"step": step, "probes": told})


def _any(here: bool) -> bool:
    """Whether it is so in any of the processes that share the run: they must stop at the same step."""
    if not torch.distributed.is_initialized():
        return here
    flag = torch.tensor(float(here), device="cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
    torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
    return bool(flag)


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
