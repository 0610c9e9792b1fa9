"""The trainer for a method: TRL's, or ours where TRL has none."""

from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig

from detox_core.models.loading import LoadedBase
from detox_core.train.ear import EARTrainer
from detox_core.train.ppo import PPOTrainer
from detox_core.train.rewards import rewards_of
from detox_core.train.sampling import replies_of
from detox_core.train.spec import TrainSpec
from detox_core.types import Decoding, Generation, Variant

SECOND = "second"  # the scorer that looks on when it is not the one that pays


def trainer_for(
    spec: TrainSpec, model: Any, config: LoraConfig | None, base: LoadedBase, variant: Variant, rows: list[dict[str, Any]], folder: str
) -> Any:
    """Everything set but the callbacks.

    Args:
        model: a PeftModel whose adapter `default` is trained on, or any model with `config` for a new one.
    """
    import trl

    common, data = _common(spec, folder), Dataset.from_list(rows)
    shared: dict[str, Any] = {"model": model, "processing_class": base.tokenizer, "train_dataset": data, "peft_config": config}
    cut: dict[str, Any] = {"max_length": spec.max_length}
    trainer: Any
    if spec.method == "sft":
        # Rows of like length in a batch: half of it would be padding otherwise.
        supervised = trl.SFTConfig(**common, **cut, train_sampling_strategy="group_by_length")
        if spec.attention_entropy:
            base.model.set_attn_implementation("eager")  # the others do not say what they attend to
            return EARTrainer(args=supervised, weight=spec.attention_entropy, **shared)
        return trl.SFTTrainer(args=supervised, **shared)
    if spec.method == "dpo":
        # The preference loss alone lowers the probability of both replies; the SFT term keeps the chosen one likely (Pang et al. 2024).
        losses: dict[str, Any] = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}
        trainer = trl.DPOTrainer(args=trl.DPOConfig(**common, **losses, **cut, beta=spec.beta), **shared)
    elif spec.method == "kto":
        trainer = trl.KTOTrainer(args=trl.KTOConfig(**common, **cut, beta=spec.beta), **shared)
    elif spec.method == "ppo":
        return _ppo(spec, common, model, config, base, variant, data)
    else:
        terms = rewards_of(spec, _onlooker(spec))
        shared["reward_funcs"] = [_named(name, function) for name, _, function in terms]
        sampling: dict[str, Any] = {"num_generations": spec.samples, "max_completion_length": spec.max_new_tokens, "temperature": 1.0}
        options: dict[str, Any] = {**common, **sampling, "beta": spec.beta, "reward_weights": [weight for _, weight, _ in terms]}
        if spec.method == "rloo":
            trainer = trl.RLOOTrainer(args=trl.RLOOConfig(**options, num_iterations=2, steps_per_generation=1), **shared)
        else:
            trainer = trl.GRPOTrainer(args=trl.GRPOConfig(**options), **shared)
    if spec.reference == "base" and "ref" in trainer.model.peft_config:
        trainer.model.delete_adapter("ref")  # without that copy of the start, TRL switches all adapters off for the reference
    return trainer


def _ppo(
    spec: TrainSpec, common: dict[str, Any], model: Any, config: LoraConfig | None, base: LoadedBase, variant: Variant, data: Dataset
) -> PPOTrainer:
    from peft import get_peft_model
    from transformers import TrainingArguments

    if config is not None:
        model = get_peft_model(model, config)
    elif spec.reference == "start":
        _copy_of_start(model)
    decoding = Decoding(temperature=1.0, top_p=1.0, max_new_tokens=spec.max_new_tokens)

    def sample(texts: list[str]) -> list[Generation]:
        seed = int(torch.randint(2**31 - 1 - len(texts), ()))
        now = Decoding(seed, decoding.temperature, decoding.top_p, decoding.max_new_tokens)
        return [replies[0] for replies in replies_of(model, base, variant, texts, now)]

    arguments = TrainingArguments(**common, remove_unused_columns=False)
    terms = rewards_of(spec, _onlooker(spec))
    return PPOTrainer(base, sample, terms, spec.beta, spec.mini_batch, model=model, args=arguments, train_dataset=data)


def _copy_of_start(model: Any) -> None:
    """A frozen adapter `ref` that is what `default` is now; TRL's trainers make theirs by themselves."""
    model.add_adapter("ref", model.peft_config["default"])
    for name, parameter in model.named_parameters():
        if ".default." in name:
            model.get_parameter(name.replace(".default.", ".ref.")).data.copy_(parameter.data)


def _common(spec: TrainSpec, folder: str) -> dict[str, Any]:
    gpu = torch.cuda.is_available()
    return {
        "output_dir": folder,
        "max_steps": spec.steps,
        "per_device_train_batch_size": spec.batch,
        "learning_rate": spec.rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": min(20, spec.steps // 10),
        "bf16": computes_in_bfloat16(),
        "use_cpu": not gpu,
        "ddp_backend": "gloo" if not gpu and spec.processes > 1 else None,
        "gradient_checkpointing": gpu,
        "seed": spec.seed,
        "logging_steps": max(1, min(10, spec.steps // 20)),
        "logging_first_step": True,
        "save_steps": max(20, spec.steps // 5),
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
    }


def computes_in_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 faster than float32."""
    return torch.cuda.is_available() or bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def _onlooker(spec: TrainSpec) -> str | None:
    return None if SECOND in spec.scorers else SECOND


def _named(name: str, function: Any) -> Any:
    def reward(*args: Any, **columns: Any) -> list[float | None]:
        return function(*args, **columns)  # type: ignore[no-any-return]

    reward.__name__ = name  # TRL logs by it
    return reward
