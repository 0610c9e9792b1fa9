"""ProFS (Uppaal et al. 2025, Model Editing as a Robust and Denoised Variant of DPO): MLPs no longer write into a toxic subspace.

The subspace of a layer holds the directions in which the states of bad replies differ most from those of good ones, without what all
text shares. It is a projection, so no sign has to be chosen.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from detox_core.interventions.protocol import Artifact, Example, Fitted, Patch, Subject, Tell, labelled, need_examples
from detox_core.models.anatomy import Anatomy

RANK = 2  # directions removed in each layer, as published for GPT-2; larger models took 10


def edited_layers(anatomy: Anatomy) -> range:
    """The upper half of the blocks."""
    return anatomy.layers[len(anatomy.blocks) // 2 :]


def fit(subject: Subject, examples: Sequence[Example], tell: Tell, stop: threading.Event, folder: Path) -> Fitted:  # noqa: ARG001
    """Toxic subspace of each layer of the upper half: tensor `LAYER` (width, rank), orthonormal columns.

    Raises:
        InterruptedError: stopped.
    """
    need_examples(examples)
    texts, toxic = labelled(examples)
    anatomy = subject.anatomy
    latest: dict[int, torch.Tensor] = {}
    found: dict[int, list[torch.Tensor]] = {}
    with ExitStack() as stack:
        for layer in edited_layers(anatomy):
            stack.callback(anatomy.blocks[layer].register_forward_hook(partial(_listen, latest, layer)).remove)
        for _, within in subject.read(texts, tell, stop):
            kept = within[..., None]
            for layer, states in latest.items():
                means = (states.float() * kept).sum(1) / kept.sum(1).clamp(min=1)
                found.setdefault(layer, []).append(means.cpu())
    tensors, shares = {}, {}
    for layer, parts in found.items():
        means = torch.cat(parts)
        tensors[str(layer)], shares[str(layer)] = subspace(means[~toxic], means[toxic])
    return Fitted(tensors, {"layers": list(found), "rank": RANK, "share_of_difference": shares})


def _listen(latest: dict[int, torch.Tensor], layer: int, _module: Any, _inputs: Any, output: Any) -> None:
    latest[layer] = output if isinstance(output, torch.Tensor) else output[0]  # some blocks return a tuple


def subspace(good: torch.Tensor, bad: torch.Tensor, rank: int = RANK) -> tuple[torch.Tensor, float]:
    """Directions in which bad states differ from good ones, after what good states share is left out.

    Args:
        good, bad: mean states (pairs, width), paired by row.

    Returns:
        Orthonormal columns (width, rank), and their share of the squared differences, in [0, 1].
    """
    common = torch.linalg.svd(good, full_matrices=False).Vh[0]
    difference = good - bad
    centred = difference - (difference @ common)[:, None] * common
    found = torch.linalg.svd(centred, full_matrices=False)
    kept = found.S[:rank].square().sum() / found.S.square().sum().clamp(min=1e-12)
    return found.Vh[:rank].T.contiguous(), round(float(kept), 4)


@contextmanager
def apply(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """Output of each MLP of the upper half: o <- o - s (o V) V^T."""
    anatomy = subject.anatomy
    with ExitStack() as stack:
        for layer, basis in artifact.tensors.items():
            stack.callback(anatomy.out(int(layer)).register_forward_hook(partial(_project, basis, strength)).remove)
        yield Patch()


def _project(basis: torch.Tensor, strength: float, _module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
    basis = basis.to(output.device, output.dtype)
    return output - strength * ((output @ basis) @ basis.T)
