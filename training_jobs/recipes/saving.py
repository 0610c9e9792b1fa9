"""Write an adapter the way it ships: bfloat16, without paths of the machine that made it."""

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import torch
from peft import LoraConfig, PeftModel


def save_adapter(model: torch.nn.Module | None, folder: Path, base: str = "embedded/it") -> None:
    """Save the trained adapter to `folder`; `base` is recorded as the model it belongs to."""
    assert isinstance(model, PeftModel)  # all recipes train adapters
    for config in cast("Iterable[LoraConfig]", model.peft_config.values()):
        config.base_model_name_or_path = base
        if isinstance(config.target_modules, set):
            config.target_modules = sorted(config.target_modules)  # sets are written in another order each time
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    model.to(torch.bfloat16).save_pretrained(str(folder))
    card.write_text(text, encoding="utf-8")  # PEFT would put its empty card there
