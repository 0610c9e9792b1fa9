"""DExperts and GeDi: formulas by hand, and experts that read along exactly."""

import math
from dataclasses import replace

import pytest
import torch

from detox_core.errors import ModelError
from detox_core.interventions import dexperts, gedi
from detox_core.interventions.protocol import Artifact, Row, Subject
from detox_core.models.mixing import mixed

ROWS = [Row("a", (5, 6, 7, 8)), Row("b", (9, 10))]
WRITTEN = [(11, 12), (13, 14)]  # tokens of the two replies, step by step


@pytest.fixture
def experts(gpt2, make_adapter):
    """The subject, and an artifact with two random adapters."""
    it, _, base = gpt2
    folders = {name: make_adapter("gpt2", it.base, seed) for name, seed in (("clean", 5), ("toxic", 6))}
    for folder in folders.values():
        base.attach(folder)
    return Subject(base, it), Artifact({}, {}, folders)


def logits(subject: Subject, folder: str, ids: list[int]) -> torch.Tensor:
    with mixed(subject.base.model, [subject.base.attach(folder)]), torch.inference_mode():
        return subject.base.model(torch.tensor([ids]), use_cache=False).logits[0, -1].float()


def batch(step: int, rows: list[int]) -> torch.Tensor:
    """Token ids of these rows after so many steps, padded on the left."""
    ids = [[*ROWS[row].ids, *(column[row] for column in WRITTEN[:step])] for row in rows]
    longest = max(map(len, ids))
    return torch.tensor([[0] * (longest - len(row)) + row for row in ids])


def unpadded(step: int, row: int) -> list[int]:
    return [*ROWS[row].ids, *(column[row] for column in WRITTEN[:step])]


def test_alpha_times_the_difference_is_added_within_the_nucleus():
    base = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()  # the first three hold 0.95, the first two only 0.8
    clean, toxic = torch.tensor([[0.0, 1.0, 0.0, 9.0]]), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    found = dexperts.combine(base, clean, toxic, 2.0)
    expected = [math.log(0.5) - 2, math.log(0.3) + 2, math.log(0.15), -math.inf]
    assert torch.allclose(found, torch.tensor([expected]))


def test_a_negative_alpha_prefers_what_the_toxic_expert_prefers():
    even, toxic = torch.zeros(1, 2), torch.tensor([[0.0, 3.0]])
    assert int(dexperts.combine(even, even, toxic, 2.0).argmax()) == 0
    assert int(dexperts.combine(even, even, toxic, -2.0).argmax()) == 1


def test_both_experts_read_every_reply_also_after_rows_have_left(experts):
    subject, artifact = experts
    clean, toxic = artifact.adapters.values()
    flat = torch.zeros(2, 200)  # all of it is nucleus
    with dexperts.apply(subject, artifact, 1.5) as patch:
        steering = patch.steer(ROWS)
        for step, rows in ((0, [0, 1]), (1, [0, 1]), (2, [1])):
            if rows == [1]:
                steering.keep([1])
            found = steering(batch(step, rows), flat[: len(rows), : subject.base.model.config.vocab_size])
            for at, row in enumerate(rows):
                wanted = logits(subject, clean, unpadded(step, row)) - logits(subject, toxic, unpadded(step, row))
                inside = found[at].isfinite()
                assert inside.sum() >= 0.9 * len(wanted)
                assert torch.allclose(found[at][inside], 1.5 * wanted[inside], atol=1e-3)
    assert patch.rows == 3


def test_bayes_rule_over_the_two_classes():
    now = torch.tensor([[[0.6, 0.4]], [[0.2, 0.8]]]).log()
    first = gedi.chance_of_clean(torch.zeros(2, 1), now, 1).exp()
    assert torch.allclose(first, torch.tensor([[0.6 / 0.8, 0.4 / 1.2]]))


def test_the_whole_reply_counts_by_its_mean_per_token():
    said, now = torch.tensor([[0.5], [0.25]]).log(), torch.tensor([[[0.6]], [[0.2]]]).log()
    clean, toxic = math.sqrt(0.5 * 0.6), math.sqrt(0.25 * 0.2)
    assert gedi.chance_of_clean(said, now, 2).exp().item() == pytest.approx(clean / (clean + toxic))


def test_gedi_remembers_how_likely_each_reply_is_also_after_rows_have_left(experts):
    subject, artifact = experts
    flat = torch.zeros(2, subject.base.model.config.vocab_size)
    with gedi.apply(subject, artifact, 0.5) as patch:
        steering = patch.steer(ROWS)
        for step, rows in ((0, [0, 1]), (1, [0, 1]), (2, [1])):
            if rows == [1]:
                steering.keep([1])
            found = steering(batch(step, rows), flat[: len(rows)])
    scores = []
    for folder in artifact.adapters.values():
        read = [logits(subject, folder, unpadded(step, 1)).log_softmax(-1) for step in range(3)]
        scores.append((read[0][WRITTEN[0][1]] + read[1][WRITTEN[1][1]] + read[2]) / 3)
    clean = torch.stack(scores).softmax(0)[0]
    assert torch.allclose(found[0], flat[1].log_softmax(-1) + 15 * clean.log(), atol=1e-3)


def test_adapters_that_cannot_share_a_batch_are_refused_in_words(experts, make_adapter):
    subject, artifact = experts
    dora = make_adapter("gpt2", subject.variant.base, 7, use_dora=True)
    odd = replace(artifact, adapters={**artifact.adapters, "toxic": dora})
    with dexperts.apply(subject, odd, 1.0) as patch, pytest.raises(ModelError, match="cannot share a batch"):
        patch.steer(ROWS)
