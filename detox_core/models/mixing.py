"""One batch, several LoRA adapters: each adapter works on its own rows, in place.

PEFT can mix adapters too (`generate(adapter_names=...)`), but picks rows by index lists anew in every layer and step, which at the
size of the embedded family costs more than the adapters themselves, and leaves its hooks behind when something is raised.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer

PLAIN = "__base__"  # rows without an adapter
Rows = list[tuple[str, slice]]


def mixable(model: torch.nn.Module, names: Sequence[str]) -> bool:
    """Whether all these adapters are plain low-rank products on linear layers (no DoRA, embeddings, biases or full copies)."""
    if not isinstance(model, PeftModel):
        return True
    wanted = {name for name in names if name != PLAIN}
    for name in wanted:
        config: Any = model.peft_config[name]
        if config.use_dora or config.lora_bias or config.modules_to_save or config.trainable_token_indices:
            return False
    layers = _layers(model)
    return not any(wanted & set(layer.lora_embedding_A) for layer in layers) and all(
        isinstance(layer.lora_A[name], torch.nn.Linear) for layer in layers for name in wanted & set(layer.lora_A)
    )


@contextmanager
def mixed(model: torch.nn.Module, adapters: Sequence[str]) -> Iterator[None]:
    """Inside, row i of a batch passes through adapter `adapters[i]`; equal names must lie next to each other.

    Afterwards the model is as before, also when something was raised. A row with `__base__` gives exactly what the base gives. Inside,
    another batch may be mixed in another way.
    """
    if not isinstance(model, PeftModel):
        yield
        return
    rows: Rows = [(name, slice(adapters.index(name), adapters.index(name) + adapters.count(name))) for name in dict.fromkeys(adapters)]
    layers = _layers(model)
    outer = [layer.__dict__.get("forward") for layer in layers]
    for layer in layers:
        layer.forward = partial(_forward, layer, rows)  # on the instance; removed below
    try:
        yield
    finally:
        for layer, before in zip(layers, outer, strict=True):
            if before is None:
                del layer.forward
            else:
                layer.forward = before


def _forward(layer: Any, rows: Rows, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """x (rows, ..., inputs) -> base(x) + scaling B A x on each adapter's rows; Hu et al. 2021, equation 3."""
    result = layer.get_base_layer()(x, *args, **kwargs)
    for name, at in rows:
        if name in layer.lora_A:
            down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
            inner = torch.nn.functional.linear(x[at].to(down.dtype), down)
            result[at].add_(torch.nn.functional.linear(inner, up).to(result.dtype), alpha=layer.scaling[name])
    return result


def _layers(model: torch.nn.Module) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, LoraLayer)]
