"""Adapters trained for interventions."""

import math
import threading
from collections.abc import Sequence

import pytest
import torch

from detox_core.errors import ModelError
from detox_core.interventions.protocol import Subject
from detox_core.models.mixing import mixed
from detox_core.train import experts
from detox_core.types import Score
from tests.interventions.conftest import EXAMPLES, train_little


@pytest.fixture(autouse=True)
def little(monkeypatch):
    train_little(monkeypatch)


def loss(subject: Subject, adapter: str, replies: Sequence[tuple[str, str]]) -> float:
    """Mean negative log-likelihood of replies per token."""
    found = []
    for prompt, reply in replies:
        ids, start = subject.ids(prompt, reply)
        with mixed(subject.base.model, [subject.base.attach(adapter)]), torch.inference_mode():
            logs = subject.base.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        found += [-float(logs[at - 1, ids[at]]) for at in range(start, len(ids))]
    return sum(found) / len(found)


def test_each_expert_finds_its_own_side_likelier_and_nothing_else_is_left(gpt2, tmp_path, monkeypatch, capfd):
    it, _, base = gpt2
    monkeypatch.setattr(experts, "STEPS", 8)
    subject, told = Subject(base, it), []
    fitted = experts.fit(subject, EXAMPLES, lambda done, of: told.append((done, of)), threading.Event(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean", "toxic"]
    assert {path.name for path in (tmp_path / "clean").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert told[-1] == (16, 16)
    assert min(done for done, _ in told) == 1
    assert capfd.readouterr().out == ""
    good, bad = ([(one.prompt, getattr(one, side)) for one in EXAMPLES] for side in ("good", "bad"))
    clean, toxic = (str(fitted.adapters[name]) for name in ("clean", "toxic"))
    assert loss(subject, clean, good) < loss(subject, toxic, good)
    assert loss(subject, toxic, bad) < loss(subject, clean, bad)
    assert fitted.notes["loss"]["clean"][1] < fitted.notes["loss"]["clean"][0]


def test_a_stopped_fit_leaves_nothing_behind(gpt2, tmp_path):
    it, _, base = gpt2
    stop = threading.Event()
    with pytest.raises(InterruptedError):
        experts.fit(Subject(base, it), EXAMPLES, lambda done, _of: stop.set() if done else None, stop, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_of_each_prompt_the_least_toxic_reply_and_of_these_the_less_toxic_half():
    scored = [(0.9, "p", "bad"), (0.5, "p", "better"), (0.1, "q", "good"), (0.2, "q", "fine"), (0.4, "r", "so so")]
    assert experts.least_toxic(scored) == [(0.1, "q", "good"), (0.4, "r", "so so")]


def test_the_model_learns_from_its_own_replies_that_are_less_toxic(gpt2, tmp_path):
    _, ft, base = gpt2
    fitted = experts.fit_self_generated(Subject(base, ft), EXAMPLES, lambda *_: None, threading.Event(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    assert fitted.notes["generated"] == 16
    assert 1 <= fitted.notes["kept"] <= 4
    assert fitted.notes["toxicity_kept"] <= fitted.notes["toxicity"]


def test_replies_that_nobody_can_score_are_no_lesson(gpt2, tmp_path, monkeypatch):
    class Silent:
        def score(self, texts):
            return [Score(math.nan, "silent", "1", reason="no words") for _ in texts]

    it, _, base = gpt2
    monkeypatch.setattr(experts, "get_scorer", lambda _name: Silent())
    with pytest.raises(ModelError, match="can be scored"):
        experts.fit_self_generated(Subject(base, it), EXAMPLES, lambda *_: None, threading.Event(), tmp_path)
