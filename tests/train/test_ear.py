"""Attention entropy: its limits by hand, and training that raises it."""

import math

import pytest
import torch

from detox_core.models.loading import load_base
from detox_core.train.ear import attention_entropy, attentions

SEEN = torch.ones(1, 3, dtype=torch.long)


def layer(*rows):
    return torch.tensor(rows)[None, None]


def test_even_attention_is_one_and_a_single_token_is_zero():
    even = layer([1.0, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3])
    single = layer([1.0, 0, 0], [1.0, 0, 0], [0, 0, 1.0])
    assert attention_entropy([even], SEEN).item() == pytest.approx(1)
    assert attention_entropy([single], SEEN).item() == pytest.approx(0)
    assert attention_entropy([even, single], SEEN).item() == pytest.approx(0.5)


def test_by_hand():
    weights = layer([1.0, 0, 0], [0.25, 0.75, 0], [1.0, 0, 0])
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) / math.log(2)
    assert attention_entropy([weights], SEEN).item() == pytest.approx(entropy / 2)


def test_padding_on_either_side_does_not_count():
    left = layer([1.0, 0, 0], [0, 1.0, 0], [0, 0.5, 0.5])
    assert attention_entropy([left], torch.tensor([[0, 1, 1]])).item() == pytest.approx(1)
    right = layer([1.0, 0, 0], [0.5, 0.5, 0], [1.0, 0, 0])
    assert attention_entropy([right], torch.tensor([[1, 1, 0]])).item() == pytest.approx(1)


def test_heads_are_averaged_first():
    two = torch.stack([layer([1.0, 0], [1.0, 0])[0, 0], layer([1.0, 0], [0, 1.0])[0, 0]])[None]
    assert attention_entropy([two], torch.ones(1, 2, dtype=torch.long)).item() == pytest.approx(1)


def test_every_layer_of_every_architecture_is_seen(family):
    base = load_base(family[0].base, "float32")
    base.model.set_attn_implementation("eager")
    ids = torch.tensor([[5, 6, 7, 8]])
    with attentions(base.model) as seen:
        base.model(input_ids=ids)
    assert len(seen) == base.model.config.num_hidden_layers
    assert all(torch.allclose(weights.sum(-1), torch.ones(1), atol=1e-5) for weights in seen)
    with attentions(base.model) as again:
        pass
    assert not again
