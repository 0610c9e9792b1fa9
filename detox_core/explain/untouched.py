"""A model lent to a library that hooks, patches and switches it: everything is as before afterwards, whatever went wrong."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)
SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")


@contextmanager
def untouched(model: PreTrainedModel, *, eager: bool = False) -> Iterator[None]:
    """Inside, hooks, attributes of modules, special tokens and random states may be changed at will.

    Args:
        eager: switch to the attention that gives its weights.
    """
    modules = list(model.modules())
    hooks = [{name: dict(getattr(module, name)) for name in HOOKS} for module in modules]
    names = [set(vars(module)) for module in modules]
    special = {name: getattr(model.config, name, None) for name in SPECIAL}
    configs = [module.config for module in modules if isinstance(module, PreTrainedModel)]
    attention = [config._attn_implementation for config in configs]
    tracer, numbers = sys.gettrace(), np.random.get_state()
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            for config in configs if eager else ():
                # Not by its setter, which refuses Falcon: that gives weights in any case, but with a mask made for another
                # attention, so that tokens would attend to what comes after them.
                config._attn_implementation_internal = "eager"
            yield
    finally:
        sys.settrace(tracer)
        np.random.set_state(numbers)
        for config, before in zip(configs, attention, strict=True):
            config._attn_implementation_internal = before
        for name, value in special.items():
            setattr(model.config, name, value)
        for module, kept, known in zip(modules, hooks, names, strict=True):
            _restore(module, kept, known)


def _restore(module: torch.nn.Module, hooks: dict[str, dict[int, Any]], names: set[str]) -> None:
    for name, kept in hooks.items():
        now = getattr(module, name)
        if now != kept:
            now.clear()
            now.update(kept)
    for name in set(vars(module)) - names:  # a library's notes on the module, among them "my hooks are in place"
        delattr(module, name)
