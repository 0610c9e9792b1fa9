"""AURA, Det-zero and DAMP (Suau et al. 2024, Whispering Experts): neurons that tell toxic text apart are turned down.

A neuron is one output of a projection of an MLP, before its activation, as in the original. How well it tells toxic from other text is
the AUROC of its largest value over a reply.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from detox_core.interventions.protocol import Artifact, Example, Fitted, Patch, Subject, Tell, labelled, need_examples

BEST = 0.05  # share of the experts that Det-zero and DAMP act on


def auroc(values: torch.Tensor, toxic: torch.Tensor) -> torch.Tensor:
    """Chance that a toxic text has a higher value than another one, ties counted half: the rank formula.

    Args:
        values: (texts, neurons).
        toxic: (texts,), bool.

    Returns:
        (neurons,), in [0, 1].
    """
    ordered, order = values.sort(0)
    place = torch.arange(1, len(values) + 1, dtype=torch.float64, device=values.device)[:, None].expand(values.shape)
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[1:] = ordered[1:] != ordered[:-1]
    tie = new.long().cumsum(0) - 1  # equal values share a number, and the mean of their ranks
    zero = torch.zeros(values.shape, dtype=torch.float64, device=values.device)
    total, count = zero.scatter_add(0, tie, place), zero.scatter_add(0, tie, torch.ones_like(place))
    ranks = torch.empty_like(zero).scatter_(0, order, (total / count.clamp(min=1)).gather(0, tie))
    many = int(toxic.sum())
    above = ranks[toxic].sum(0) - many * (many + 1) / 2
    return (above / (many * (len(values) - many))).float()


def fit(subject: Subject, examples: Sequence[Example], tell: Tell, stop: threading.Event, folder: Path) -> Fitted:  # noqa: ARG001
    """AUROC of every output of every projection of the MLPs, by `LAYER.into`, `LAYER.gate` and `LAYER.out`."""
    need_examples(examples)
    texts, toxic = labelled(examples)
    anatomy = subject.anatomy
    latest: dict[str, torch.Tensor] = {}
    found: dict[str, list[torch.Tensor]] = {}
    with ExitStack() as stack:
        for layer in anatomy.layers:
            for name, module in anatomy.projections(layer).items():
                key = f"{layer}.{name}"
                stack.callback(module.register_forward_hook(partial(_listen, latest, key)).remove)
        for _, within in subject.read(texts, tell, stop):
            for key, values in latest.items():
                largest = values.masked_fill(~within[..., None], -torch.inf).amax(1)
                found.setdefault(key, []).append(largest.to(torch.float16).cpu())
    scores = {key: auroc(torch.cat(parts).float(), toxic) for key, parts in found.items()}
    every = torch.cat(list(scores.values()))
    notes = {"neurons": len(every), "experts": int((every > 0.5).sum()), "best_auroc": round(float(every.max()), 4)}
    return Fitted(scores, notes)


def _listen(latest: dict[str, torch.Tensor], key: str, _module: Any, _inputs: Any, output: torch.Tensor) -> None:
    latest[key] = output


@contextmanager
def aura(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """Outputs times 1 - s (1 - alpha), with alpha = 1 - 2 (AUROC - 0.5) for experts and 1 for others."""
    with _scaled(subject, {key: 1 - strength * 2 * (scores - 0.5).clamp(min=0) for key, scores in artifact.tensors.items()}):
        yield Patch()


@contextmanager
def det0(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """Outputs of the best experts times 1 - s."""
    with _scaled(subject, {key: 1 - strength * best for key, best in _best(artifact).items()}):
        yield Patch()


@contextmanager
def damp(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """Outputs of the best experts times 1 - s / 2."""
    with _scaled(subject, {key: 1 - strength * best / 2 for key, best in _best(artifact).items()}):
        yield Patch()


def _best(artifact: Artifact) -> dict[str, torch.Tensor]:
    """1 for the best experts of the whole model, 0 for the others."""
    every = torch.cat(list(artifact.tensors.values()))
    experts = every[every > 0.5]
    least = experts.topk(max(1, round(BEST * len(experts)))).values[-1] if len(experts) else torch.inf
    return {key: (scores >= least).float() for key, scores in artifact.tensors.items()}


@contextmanager
def _scaled(subject: Subject, factors: dict[str, torch.Tensor]) -> Iterator[None]:
    """Multiply outputs of projections, in the model's own precision."""
    anatomy = subject.anatomy
    with ExitStack() as stack:
        for layer in anatomy.layers:
            for name, module in anatomy.projections(layer).items():
                factor = factors[f"{layer}.{name}"]
                stack.callback(module.register_forward_hook(partial(_scale, factor)).remove)
        yield


def _scale(factor: torch.Tensor, _module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return output * factor.to(output.device, output.dtype)
