"""Facts about the list of scorers."""

import functools
import subprocess
import sys
from importlib import import_module

import pytest

from detox_core.errors import BadInput, ScorerError
from detox_core.score import PRESETS, get_scorer, registry


@pytest.fixture
def nothing_loaded(monkeypatch):
    monkeypatch.setattr(registry, "_load", functools.cache(registry._load.__wrapped__))


def test_listing_the_scorers_imports_no_torch():
    code = "import sys, detox_core.score; print(sorted({'torch', 'transformers', 'httpx'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_unknown_scorer_lists_the_known_ones():
    with pytest.raises(BadInput, match="'nonsense'") as caught:
        get_scorer("nonsense")
    assert all(name in str(caught.value) for name in PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_leads_to_a_function(name):
    module, function = PRESETS[name].path.split(":")
    assert callable(getattr(import_module(module), function))
    assert PRESETS[name].label
    assert PRESETS[name].about


def test_two_scorers_work_offline_as_shipped():
    assert [name for name, preset in PRESETS.items() if preset.offline] == ["local", "second"]


def test_default_scorer_is_the_local_one_loaded_once():
    scorer = get_scorer()
    assert scorer.id == "local"
    assert get_scorer("local") is scorer


def test_name_with_a_slash_is_taken_for_a_classifier(nothing_loaded, monkeypatch):
    loaded = []
    monkeypatch.setattr("detox_core.score.classifier.classifier", lambda source: loaded.append(source) or object())
    assert get_scorer("tests/some-classifier") is get_scorer("tests/some-classifier")
    assert loaded == ["tests/some-classifier"]


def test_failed_load_is_tried_again(nothing_loaded, monkeypatch):
    monkeypatch.delenv("PERSPECTIVE_API_KEY", raising=False)
    with pytest.raises(ScorerError, match="PERSPECTIVE_API_KEY"):
        get_scorer("perspective")
    monkeypatch.setenv("PERSPECTIVE_API_KEY", "secret")
    assert get_scorer("perspective").id == "perspective"
