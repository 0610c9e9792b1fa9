"""Subtraction of a toxic direction (Lee et al. 2024, A Mechanistic Understanding of Alignment Algorithms, sections 3 and 4).

A linear probe tells toxic from other replies by the residual stream. Its direction, the MLP value vector closest to it, or the first
singular vector of the closest ones is taken from what the last MLP writes.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch.nn.functional import normalize

from detox_core.interventions.protocol import Artifact, Example, Fitted, Patch, Subject, Tell, labelled, need_examples
from detox_core.models.anatomy import Anatomy

TOP = 128  # value vectors kept, as in the paper; in small models one neuron in a hundred, at least LEAST
LEAST = 8
HELD_OUT = 0.2  # share of the examples that the probe is tested on
SHIFT = 0.25  # what strength 1 takes away, in mean norms of the last residual


def fit(subject: Subject, examples: Sequence[Example], tell: Tell, stop: threading.Event, folder: Path) -> Fitted:  # noqa: ARG001
    """The probe, and the value vectors closest to it.

    Returns:
        Tensors: `w` (width,), unit, points to toxic; `top_layer`, `top_index` and `top_cosine` (vectors,), closest value vector first;
        `value` and `svd` (width,), unit, both on the side of `w`; `scale` (), length of the shift at strength 1.

    Raises:
        ModelError: quantised weights, whose value vectors cannot be read.
        InterruptedError: stopped.
    """
    need_examples(examples)
    texts, toxic = labelled(examples)
    anatomy = subject.anatomy
    anatomy.value_vectors(0)  # quantised weights are refused before anything is read
    means, norm = residuals(subject, texts, tell, stop)
    held = 2 * max(1, round(HELD_OUT * len(examples)))  # both replies of an example lie on the same side
    w, notes = probe(means[:-held], toxic[:-held], means[-held:], toxic[-held:])
    layers, indices, cosines = closest(anatomy, w)
    top = torch.stack([anatomy.value_vectors(layer)[index].detach().float().cpu() for layer, index in zip(layers, indices, strict=True)])
    tensors = {
        "w": w,
        "top_layer": torch.tensor(layers),
        "top_index": torch.tensor(indices),
        "top_cosine": cosines,
        "value": normalize(top[0], dim=0),
        "svd": singular(top, w)[0],
        "scale": torch.tensor(SHIFT * norm),
    }
    return Fitted(tensors, notes | {"vectors": len(top), "residual_norm": round(norm, 4), "shift": round(SHIFT * norm, 4)})


def residuals(subject: Subject, texts: Sequence[tuple[str, str]], tell: Tell, stop: threading.Event) -> tuple[torch.Tensor, float]:
    """Residual stream after the last block over the tokens of each reply.

    Returns:
        Means (texts, width), float32, on the CPU; and the mean norm over all tokens of all replies.
    """
    latest: list[torch.Tensor] = []
    means, total, count = [], 0.0, 0
    handle = subject.anatomy.blocks[-1].register_forward_hook(partial(_listen, latest))
    try:
        for _, within in subject.read(texts, tell, stop):
            states = latest.pop().float()
            kept = within[..., None]
            means.append(((states * kept).sum(1) / kept.sum(1).clamp(min=1)).cpu())
            total, count = total + float(states.norm(dim=-1)[within].sum()), count + int(within.sum())
    finally:
        handle.remove()
    return torch.cat(means), total / max(1, count)


def _listen(latest: list[torch.Tensor], _module: Any, _inputs: Any, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
    latest[:] = [output if isinstance(output, torch.Tensor) else output[0]]


def probe(train: torch.Tensor, toxic: torch.Tensor, held: torch.Tensor, held_toxic: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
    """Logistic regression with an intercept, which the direction leaves out.

    Args:
        train, held: (texts, width).
        toxic, held_toxic: (texts,), bool, both kinds in each.

    Returns:
        Unit direction (width,), float32, towards toxic; accuracy and AUROC on `held`.
    """
    size = float(train.std()) or 1.0  # one number for all, so that the penalty does not depend on the model's scale
    model = LogisticRegression(max_iter=2000).fit((train / size).numpy(), toxic.numpy())
    values = model.decision_function((held / size).numpy())
    notes = {
        "probe_accuracy": round(float(np.mean((values > 0) == held_toxic.numpy())), 4),
        "probe_auroc": round(float(roc_auc_score(held_toxic.numpy(), values)), 4),
        "held_out": len(held),
    }
    return normalize(torch.tensor(model.coef_[0], dtype=torch.float32), dim=0), notes


def closest(anatomy: Anatomy, w: torch.Tensor) -> tuple[list[int], list[int], torch.Tensor]:
    """The value vectors of all layers with the highest cosine to a unit direction (width,).

    Returns:
        Layers, neurons, and cosines, highest first.

    Raises:
        ModelError: quantised weights.
    """
    vectors = [anatomy.value_vectors(layer).detach() for layer in anatomy.layers]
    cosines = [(normalize(one.float(), dim=1) @ w.to(one.device)).cpu() for one in vectors]
    every = torch.cat(cosines)
    layer = torch.cat([torch.full((len(one),), number) for number, one in enumerate(cosines)])
    index = torch.cat([torch.arange(len(one)) for one in cosines])
    found = every.topk(min(TOP, max(LEAST, len(every) // 100), len(every)))
    return layer[found.indices].tolist(), index[found.indices].tolist(), found.values


def singular(vectors: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Directions that normalised vectors (vectors, width) share: right singular vectors, each turned to the side of `w`.

    Returns:
        (min(vectors, width), width), unit rows.
    """
    rows = torch.linalg.svd(normalize(vectors, dim=1), full_matrices=False).Vh
    return rows * torch.where(rows @ w < 0, -1.0, 1.0)[:, None]


@contextmanager
def subtract(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """Output of the last MLP minus s x scale x W."""
    with _subtracted(subject, artifact, "w", strength):
        yield Patch()


@contextmanager
def subtract_value(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """Output of the last MLP minus s x scale x the value vector closest to W."""
    with _subtracted(subject, artifact, "value", strength):
        yield Patch()


@contextmanager
def subtract_svd(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """Output of the last MLP minus s x scale x the first singular vector."""
    with _subtracted(subject, artifact, "svd", strength):
        yield Patch()


@contextmanager
def _subtracted(subject: Subject, artifact: Artifact, name: str, strength: float) -> Iterator[None]:
    anatomy = subject.anatomy
    shift = strength * artifact.tensors["scale"] * artifact.tensors[name]
    handle = anatomy.out(anatomy.layers[-1]).register_forward_hook(partial(_minus, shift))
    try:
        yield
    finally:
        handle.remove()


def _minus(shift: torch.Tensor, _module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return output - shift.to(output.device, output.dtype)
