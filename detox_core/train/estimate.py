"""What a training run will take, before it starts. Reads headers and a sample of the rows; imports no torch."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from detox_core.data import get_dataset, read_dataset
from detox_core.data.reading import Reading
from detox_core.demo import locate
from detox_core.models.smollm2 import NAME as SMOLLM2
from detox_core.models.variants import cache_folder
from detox_core.train.spec import METHODS, TrainSpec
from detox_core.types import Variant

SAMPLE = 200  # rows whose tokens are counted
MEASURED = ("demo", "demo-heldout")  # data sets that runs are judged by
RUNTIME = 2**30  # bytes that Python, torch and the scorer take by themselves
PER_LAYER = 34  # bytes of activations per token and width in 16 bits; Korthikanti et al. 2022, equation 2
NOT_LINEAR = ("embed", "wte", "wpe", "lm_head", "norm", "ln_")


@dataclass(frozen=True)
class Estimate:
    """What is known beforehand.

    Attributes:
        usable: rows that the method can learn from; used = of them, drawn.
        tokens: mean per row, prompt and reply; None where the tokenizer is not on this computer.
        cut: share of rows longer than `max_length`.
        trainable, parameters: of the adapter and of the model; None where the weights are not on this computer.
        memory: bytes at the peak, roughly; None as above.
        passes: how often each used row is seen.
        leaked: measured data set -> how many of the prompts it shares with the data.
    """

    usable: int
    used: int
    passes: float
    tokens: float | None = None
    cut: float = 0.0
    trainable: int | None = None
    parameters: int | None = None
    memory: int | None = None
    leaked: dict[str, int] = field(default_factory=dict)


def estimate(spec: TrainSpec, variant: Variant) -> Estimate:
    """Look at the data and at the model's files.

    Raises:
        BadInput: the data cannot be read.
    """
    reading, needs = read_dataset(spec.data), METHODS[spec.method].needs
    texts = _texts(reading, "prompts" if spec.best_of else needs)
    used = min(len(texts), spec.rows or len(texts))
    per_step = spec.batch / spec.samples if spec.method in ("rloo", "grpo") else spec.batch
    folder = _folder(variant)
    lengths = _lengths(texts, folder)
    longest = min(spec.max_length, max(lengths, default=0)) + (spec.max_new_tokens if needs == "prompts" else 0)
    shapes = _shapes(folder)
    linear = [shape for name, shape in shapes.items() if len(shape) == 2 and not any(word in name for word in NOT_LINEAR)]
    trainable = _adapter_size(variant) if variant.adapter else sum(spec.rank * sum(shape) for shape in linear)
    total = sum(prod(shape) for shape in shapes.values())
    return Estimate(
        usable=len(texts),
        used=used,
        passes=spec.steps * per_step / max(1, used),
        tokens=sum(lengths) / len(lengths) if lengths else None,
        cut=sum(length > spec.max_length for length in lengths) / len(lengths) if lengths else 0.0,
        trainable=trainable or None,
        parameters=total or None,
        memory=_memory(spec, folder, total, trainable, longest) if total else None,
        leaked=_leaked(reading, spec.data),
    )


def _texts(reading: Reading, needs: str) -> list[str]:
    if needs == "prompts":
        return [prompt.text for prompt in reading.prompts]
    pairs = [pair for pair in reading.pairs if pair.rejected or needs != "pairs"]
    return [" ".join([*pair.antecedents, pair.prompt, pair.reply]) for pair in pairs]


def _leaked(reading: Reading, data: str) -> dict[str, int]:
    """A model that has read what it is measured by looks better than it is."""
    known = {_plain(prompt.text) for prompt in reading.prompts} | {_plain(pair.prompt) for pair in reading.pairs}
    found = {name: sum(_plain(prompt.text) in known for prompt in get_dataset(name)) for name in MEASURED if name != data}
    if data in MEASURED:
        found[data] = len(reading.prompts)
    return {name: count for name, count in found.items() if count}


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).strip(" .!?\"'")


def _folder(variant: Variant) -> Path:
    return cache_folder() / "smollm2" if variant.base == SMOLLM2 else locate(variant.base)


def _lengths(texts: Sequence[str], folder: Path) -> list[int]:
    path = folder / "tokenizer.json"
    if not path.is_file() or not texts:
        return []
    from tokenizers import Tokenizer

    sample = texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE]
    return [len(found.ids) for found in Tokenizer.from_file(str(path)).encode_batch(sample)]


def _shapes(folder: Path) -> dict[str, list[int]]:
    """Tensor names and shapes out of the headers of the safetensors files."""
    found: dict[str, list[int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header: dict[str, Any] = json.loads(file.read(length))
        found |= {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    return found


def _adapter_size(variant: Variant) -> int:
    return sum(prod(shape) for shape in _shapes(locate(variant.adapter or "")).values())


def _memory(spec: TrainSpec, folder: Path, total: int, trainable: int, longest: int) -> int:
    """Weights; adapter, its gradient and AdamW's two moments; activations; logits and their gradient."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    width, layers = config.get("hidden_size") or config.get("n_embd", 0), config.get("num_hidden_layers") or config.get("n_layer", 0)
    rows = spec.mini_batch if spec.method == "ppo" else spec.batch * (2 if METHODS[spec.method].needs == "pairs" else 1)
    tokens = rows * max(longest, 1)
    activations = tokens * width * layers * PER_LAYER * 2  # 32 bits, and what LoRA keeps beside
    logits = 2 * 4 * tokens * config.get("vocab_size", 0)
    return int(RUNTIME + 4 * total + 16 * trainable + activations + logits)
