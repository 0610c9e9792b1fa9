"""What may stand in a spec, and what is refused."""

import pytest

from detox_core.errors import BadInput
from detox_core.train.spec import METHODS, TrainSpec, read_spec, spec_from


def test_a_spec_written_as_yaml_is_read_again(tmp_path):
    spec = TrainSpec("Mild, please", "rloo", steps=7, scorers={"local": 0.5, "second": 0.5}, batch=16)
    (tmp_path / "s.yaml").write_text(spec.to_yaml())
    assert read_spec(tmp_path / "s.yaml") == spec
    assert "rank" not in spec.to_yaml()


def test_the_rate_is_the_methods_unless_it_is_given():
    assert TrainSpec("x", "sft").rate == METHODS["sft"].rate
    assert TrainSpec("x", "sft", learning_rate=1e-5).rate == 1e-5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"method": "magic"}, "Unknown method 'magic'"),
        ({"name": " "}, "needs a name"),
        ({"stepz": 3}, "no setting 'stepz'"),
        ({"steps": 0}, "steps is 0; it must be between 1 and 100000"),
        ({"steps": 1.5}, "whole number"),
        ({"learning_rate": "fast"}, "learning rate is 'fast'"),
        ({"learning_rate": float("nan")}, "learning rate is nan"),
        ({"method": "rloo", "batch": 6, "samples": 4}, "multiple of 4"),
        ({"method": "grpo", "batch": 8, "scorers": {}}, "at least one scorer"),
        ({"method": "kto", "batch": 1}, "at least 2"),
    ],
)
def test_bad_settings_are_named(change, sentence):
    with pytest.raises(BadInput, match=sentence):
        spec_from({"name": "x", "method": "sft", **change})


def test_missing_settings_are_named():
    with pytest.raises(BadInput, match="'method' is missing"):
        spec_from({"name": "x"})


@pytest.mark.parametrize(
    ("text", "sentence"), [("- a\n", "must hold settings"), ("a: [", "is not YAML"), ("name: x\nmethod: no\n", "s.yaml: Unknown")]
)
def test_bad_files_are_named(tmp_path, text, sentence):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(BadInput, match=sentence):
        read_spec(tmp_path / "s.yaml")
    with pytest.raises(BadInput, match="cannot be read"):
        read_spec(tmp_path / "none.yaml")
