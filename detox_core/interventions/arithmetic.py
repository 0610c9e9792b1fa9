"""Adding and subtracting LoRA adapters (task arithmetic; Ilharco et al. 2023): fade, Ext-Sub and SGEAT.

All three are points on a line: the variant's own adapter times 1 - w, plus another one times w.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from peft.tuners.lora import LoraLayer

from detox_core.errors import ModelError
from detox_core.interventions.protocol import Artifact, Patch, Subject
from detox_core.models.mixing import mixable


@contextmanager
def fade(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:  # noqa: ARG001
    """The variant's own adapter times 1 - s; without one nothing changes."""
    with moved(subject, None, strength):
        yield Patch()


@contextmanager
def ext_sub(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """Minus s times what training on bad replies added (Hu et al. 2024; plain subtraction, without their extraction).

    Where the variant has an adapter, that training began with it, and what was added is the difference.
    """
    with moved(subject, subject.base.attach(str(artifact.adapters["toxic"])), -strength):
        yield Patch()


@contextmanager
def sgeat(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """Plus s times what training on the model's own least toxic replies added (Wang et al. 2022)."""
    with moved(subject, subject.base.attach(str(artifact.adapters["own"])), strength):
        yield Patch()


@contextmanager
def moved(subject: Subject, other: str | None, weight: float) -> Iterator[None]:
    """Inside, the variant computes W + (1 - w) D_own + w D_other instead of W + D_own, with D = scaling B A of each layer.

    Args:
        other: an adapter's name inside the model; None = only the own adapter is scaled.

    Raises:
        ModelError: an adapter that is more than a product of two small matrices.
    """
    own = subject.adapter
    if not mixable(subject.base.model, [own, *([other] if other else [])]):
        raise ModelError("The adapter of this variant is more than a product of two small matrices, so it cannot be added or scaled.")
    with ExitStack() as stack:
        for layer in subject.base.model.modules():
            if not isinstance(layer, LoraLayer):
                continue
            if own in layer.scaling:
                before = layer.scaling[own]
                stack.callback(layer.scaling.__setitem__, own, before)
                layer.scaling[own] = before * (1 - weight)
            if other and other in layer.lora_A:
                stack.callback(layer.register_forward_hook(partial(_add, other, weight)).remove)
        yield


def _add(name: str, weight: float, layer: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
    """Output (rows, tokens, outputs) plus weight times scaling B A x."""
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    inner = torch.nn.functional.linear(inputs[0].to(down.dtype), down)
    return output + weight * layer.scaling[name] * torch.nn.functional.linear(inner, up).to(output.dtype)
