"""Un-alignment (Lee et al. 2024, section 6): the keys of a few toxic neurons are scaled up, so that the model falls back into toxicity.

It shows that training left the toxic neurons in place, and only keeps the residual stream away from what switches them on.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from detox_core.interventions.protocol import Artifact, Patch, Subject

NEURONS = 7  # those whose value vectors are closest to the probe
KEY, UP = 10.0, 3.0  # published factors: of a key, and of an up-projection in a gated MLP


@contextmanager
def apply(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """Before the activation, z <- gamma (z - b) + b, with gamma = 1 + 9 s; in a gated MLP the same of the up-projection, 1 + 2 s."""
    anatomy = subject.anatomy
    chosen = zip(artifact.tensors["top_layer"][:NEURONS].tolist(), artifact.tensors["top_index"][:NEURONS].tolist(), strict=True)
    neurons: dict[int, list[int]] = {}
    for layer, index in chosen:
        neurons.setdefault(layer, []).append(index)
    with ExitStack() as stack:
        for layer, indices in neurons.items():
            full = KEY if anatomy.gate(layer) is None else UP
            into = anatomy.into(layer)
            stack.callback(into.register_forward_hook(partial(_scale, indices, 1 + (full - 1) * strength, _bias(into))).remove)
        yield Patch()


def _bias(module: Any) -> torch.Tensor | None:
    """The base's own bias of a linear module, below any LoRA around it."""
    inner = module.get_base_layer() if isinstance(module, BaseTunerLayer) else module
    return getattr(inner, "bias", None)


def _scale(indices: list[int], gamma: float, bias: torch.Tensor | None, _module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
    """What multiplying the neurons' weights by gamma would give: the bias is not scaled."""
    chosen = output[..., indices]
    fixed = torch.zeros_like(chosen) if bias is None else bias[indices].to(output.dtype)
    scaled = output.clone()
    scaled[..., indices] = gamma * (chosen - fixed) + fixed
    return scaled
