"""Perplexity of a text, against a plain loop."""

import math

import pytest
import torch

from detox_core.compare import Pool
from detox_core.errors import BadInput
from detox_core.measure.perplexity import perplexity, read_text

TEXT = "What do you think of them? I think that they are kind people. " * 3


def test_it_is_the_mean_over_windows_without_their_first_token(each_family):
    pool = Pool()
    base = pool.get(each_family[0])
    ids = base.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    logs = []
    for at in range(0, len(ids), 10):
        window = torch.tensor([ids[at : at + 10]])
        if window.shape[1] > 1:
            with torch.inference_mode():
                scores = base.model(window).logits[0, :-1].log_softmax(-1)
            logs += scores.gather(1, window[0, 1:, None])[:, 0].tolist()
    (found,) = perplexity(TEXT, each_family[:1], pool, 10)
    assert found.value == pytest.approx(math.exp(-sum(logs) / len(logs)), rel=1e-4)
    assert (found.tokens, found.length) == (len(logs), 10)


def test_an_adapter_changes_it_and_leaves_the_base_as_it_was(family):
    pool = Pool()
    before, tuned, after = (perplexity(TEXT, [variant], pool)[0].value for variant in (family[0], family[1], family[0]))
    assert before == after != tuned


def test_a_window_is_never_longer_than_the_context(family):
    (found,) = perplexity(TEXT * 10, family[:1], Pool(), 10_000)
    assert found.length == 160
    assert found.windows > 1


def test_files_without_text_are_refused(tmp_path, family):
    (tmp_path / "empty.txt").write_text(" ")
    with pytest.raises(BadInput, match="holds no text"):
        read_text(tmp_path / "empty.txt")
    with pytest.raises(BadInput, match="cannot be read"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(BadInput, match="fewer than two tokens"):
        perplexity("a", family[:1], Pool())
