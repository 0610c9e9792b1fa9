"""Look at a model's or adapter's files before anything is loaded: complete, safe to open, made for each other?"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from safetensors import SafetensorError, safe_open

from detox_core.errors import ModelError


def check_model_folder(folder: Path, name: str) -> None:
    """Refuse what is incomplete or could run code.

    Raises:
        ModelError: no config, pickle weights only, or modelling code of its own.
    """
    config_file = folder / "config.json"
    if not config_file.is_file():
        hint = " It is a LoRA adapter: give it as an adapter of its base." if (folder / "adapter_config.json").is_file() else ""
        raise ModelError(f"{name} has no config.json, so it is not a model.{hint}")
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{config_file} is not valid JSON: {error}. Download the model again.") from error
    if "AutoModelForCausalLM" in config.get("auto_map", {}):
        from transformers import CONFIG_MAPPING

        if config.get("model_type") not in CONFIG_MAPPING:
            raise ModelError(f"{name} brings its own modelling code, which is never run here. Use a model that transformers supports.")
    if not any(folder.glob("*.safetensors")):
        pickles = [path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth"))]
        if pickles:
            raise ModelError(
                f"{name} has only pickle weights ({pickles[0]}), which can run code when opened. Convert it to safetensors first."
            )
        raise ModelError(f"{name} has no .safetensors weights.")


def check_adapter(model: torch.nn.Module, folder: Path, name: str, base: str) -> None:
    """Refuse an adapter that does not fit, before PEFT changes the model.

    Raises:
        ModelError: missing or pickle files, damaged files, unknown modules, or other shapes than the base has.
    """
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(f"{name} has no adapter_config.json, so it is not a LoRA adapter.")
    weights = folder / "adapter_model.safetensors"
    if not weights.is_file():
        pickled = " It has pickle weights (adapter_model.bin), which can run code when opened." * (folder / "adapter_model.bin").is_file()
        raise ModelError(f"{name} has no adapter_model.safetensors.{pickled}")
    try:
        with safe_open(weights, "pt") as file:
            shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{weights} is damaged: {first_line(error)} Download or train the adapter again.") from error
    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder / 'adapter_config.json'} is damaged: {first_line(error)} Download or train the adapter again."
        ) from error
    if config.peft_type != "LORA":
        raise ModelError(f"{name} is an adapter of the kind {config.peft_type}; only LoRA adapters can be used here.")
    rank = None if config.rank_pattern else config.r
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    modules = dict(plain.named_modules())
    for key, shape in shapes.items():
        if ".lora_" not in key:
            continue
        path, _, side = key.removeprefix("base_model.model.").partition(".lora_")
        module = modules.get(path)
        if module is None or not fits(module, side[0], shape):
            have = "no such layer" if module is None else f"a layer of shape {layer_shape(module)}"
            raise ModelError(f"The adapter {name} was made for another base: {path} wants {shape}, {base} has {have}.")
        if side[0] == "A" and rank not in (None, shape[0]):
            raise ModelError(f"The adapter {name} is damaged: adapter_config.json says rank {rank}, its weights have rank {shape[0]}.")


def layer_shape(module: torch.nn.Module) -> tuple[int, int]:
    """(inputs, outputs) of a linear or embedding layer, wrapped by PEFT or quantised or not."""
    layer: Any = getattr(module, "base_layer", module)
    if hasattr(layer, "in_features"):
        return layer.in_features, layer.out_features
    if hasattr(layer, "num_embeddings"):
        return layer.num_embeddings, layer.embedding_dim
    if hasattr(layer, "nx"):  # GPT-2's Conv1D
        return layer.nx, layer.nf
    return (0, 0)


def fits(module: torch.nn.Module, side: str, shape: list[int]) -> bool:
    """Whether LoRA matrix A (rank, inputs) or B (outputs, rank) fits the layer; embeddings are left to PEFT."""
    inputs, outputs = layer_shape(module)
    return side not in "AB" or (shape[1] == inputs if side == "A" else shape[0] == outputs)


def first_line(error: BaseException) -> str:
    """The first sentence of a library's message, for people."""
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__).rstrip(".")[:300] + "."


def fingerprint(folder: Path) -> str:
    """First 12 hex digits of a SHA-256 over a model's weights; over their names and sizes beyond 1 GB, where reading takes long."""
    digest = hashlib.sha256()
    paths = sorted(folder.glob("*.safetensors"))
    large = sum(path.stat().st_size for path in paths) > 2**30
    for path in paths:
        if large:
            digest.update(f"{path.name} {path.stat().st_size}".encode())
            continue
        with path.open("rb") as file:
            while block := file.read(2**16):
                digest.update(block)
    return digest.hexdigest()[:12]
