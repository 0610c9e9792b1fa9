"""Muon (Jordan et al. 2024, in torch) for the matrices of a transformer's layers, AdamW for everything else, as one optimizer."""

from typing import Any

import torch
from torch import nn


class MuonWithAdamW(torch.optim.Optimizer):
    """Two optimizers that a Trainer handles as one: their groups are listed together, so that one schedule drives both.

    Args:
        model: its two-dimensional parameters go to Muon, but for the embeddings.
        muon_rate, adamw_rate: learning rates; Muon's steps have unit spectral norm times its rate.
    """

    def __init__(self, model: nn.Module, muon_rate: float, adamw_rate: float) -> None:
        tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
        matrices = [weight for weight in model.parameters() if weight.ndim == 2 and id(weight) not in tables]
        chosen = {id(weight) for weight in matrices}
        others = [weight for weight in model.parameters() if id(weight) not in chosen]
        super().__init__([*matrices, *others], {})
        self.parts = (
            torch.optim.Muon(matrices, lr=muon_rate, weight_decay=0.01, momentum=0.95),
            torch.optim.AdamW(others, lr=adamw_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        )
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002 - torch's signature
        """One step of both; `closure` is not called."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict:
        """The state of both parts, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict) -> None:
        """Restores what `state_dict` gave; the groups stay shared with the parts."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]
