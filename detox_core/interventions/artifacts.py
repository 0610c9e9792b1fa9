"""What fits found, on disk: a folder with `meta.json`, `tensors.safetensors` and maybe adapters, for exactly one model and data set."""

import hashlib
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from detox_core.errors import ModelError
from detox_core.interventions.protocol import Artifact, Fitted, Subject
from detox_core.interventions.registry import FITS, METHODS
from detox_core.models.variants import cache_folder

META, TENSORS = "meta.json", "tensors.safetensors"
DATA = "counter-narratives"  # what is fitted on when nobody names anything else


def artifact_folder(fit: str, subject: Subject, data: str = DATA) -> Path:
    """Where a fit of this model lies, whether it was made yet or not."""
    known = json.dumps([FITS[fit].version, FITS[fit].pairs, data, subject.variant.template, *weights(subject)])
    return cache_folder() / "artifacts" / fit / hashlib.sha256(known.encode()).hexdigest()[:16]


def weights(subject: Subject) -> list[str]:
    """Fingerprints of what the subject consists of, and in which precision it runs."""
    subject.base.attach(subject.variant.adapter)
    sources = [source for source in (subject.variant.base, subject.variant.adapter) if source]
    return [*(subject.base.fingerprints[source] for source in sources), str(subject.base.model.dtype), subject.variant.quantization or ""]


def read_artifact(fit: str, subject: Subject, data: str = DATA) -> Artifact | None:
    """A fit of this model, its adapters hung on the base; None = it was not made yet.

    Raises:
        ModelError: its files are damaged, or were made for another model.
    """
    folder = artifact_folder(fit, subject, data)
    if not (folder / META).is_file():
        return None
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
        tensors = load_file(folder / TENSORS, device=str(subject.base.model.device))
    except (ValueError, OSError, SafetensorError) as error:
        raise ModelError(f"{folder} is damaged: {error}. Delete it and fit again.") from error
    if meta["weights"] != weights(subject):
        raise ModelError(f"{folder} was fitted on other weights. Delete it and fit again.")
    adapters = {name: folder / name for name in meta["adapters"]}
    for place in adapters.values():
        subject.base.attach(str(place))  # now: a first adapter replaces layers, and hooks set before would miss it
    return Artifact(meta, tensors, adapters)


def write_artifact(fit: str, subject: Subject, data: str, digest: str, fitted: Fitted, seconds: float, examples: int) -> None:
    """Keep a fit; `meta.json` comes last, so a folder with one is whole."""
    folder = artifact_folder(fit, subject, data)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous().cpu() for name, tensor in fitted.tensors.items()}, folder / TENSORS)
    config = subject.base.model.config
    meta = {
        "fit": fit,
        "version": FITS[fit].version,
        "base": subject.variant.base,
        "adapter": subject.variant.adapter,
        "weights": weights(subject),
        "architecture": {"type": config.model_type, "layers": len(subject.anatomy.blocks), "vocabulary": config.vocab_size},
        "data": data,
        "data_sha256": digest,
        "examples": examples,
        "seconds": round(seconds, 2),
        "made": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "adapters": sorted(fitted.adapters),
        "strength_1": {card.id: card.unit for card in METHODS.values() if card.fit == fit},
        "notes": fitted.notes,
    }
    temporary = folder / f"{META}.tmp"
    temporary.write_text(json.dumps(meta, indent=1), encoding="utf-8")
    temporary.replace(folder / META)
