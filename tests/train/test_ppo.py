"""PPO against numbers computed by hand, and against the paper's own log."""

import math

import pytest
import torch

from detox_core.train.ppo import CLIP, adapted, advantages_of, policy_loss, token_rewards, value_loss

MASK = torch.tensor([[0.0, 1.0, 1.0, 0.0]])


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float32)


def test_every_token_pays_for_its_kl_and_the_last_one_gets_the_score():
    rewards = token_rewards(torch.tensor([2.0]), row(-1, -2, -1, -9), row(-1.5, -1, -1, 0), MASK, beta=0.1)
    assert torch.allclose(rewards, row(0, 0.1, 2.0, 0))


def test_a_reply_of_which_nothing_counts_earns_nothing():
    assert not token_rewards(torch.tensor([2.0]), row(-1, -2), row(0, 0), torch.zeros(1, 2), beta=0.1).any()


def test_advantages_and_returns_by_hand():
    white, returns = advantages_of(row(0, 0.5, 1.0, 7.0), row(9, 0.2, 0.4, 5.0), MASK)
    # the last token: 1.0 - 0.4 = 0.6; the one before: 0.5 + 0.4 - 0.2 + 0.95 * 0.6 = 1.27
    assert torch.allclose(returns, row(0, 1.47, 1.0, 0))
    assert torch.allclose(white, row(0, 1, -1, 0), atol=1e-4)


def test_the_gain_of_a_token_is_clipped_on_both_sides():
    logps, old = row(0, 0.5, -0.5, 0), row(0, 0, 0, 9)
    loss = policy_loss(logps, old, row(0, 1, -1, 3), MASK)
    assert loss.item() == pytest.approx((-(1 + CLIP) + (1 - CLIP)) / 2)
    free = policy_loss(row(0, -0.5, 0.5, 0), old, row(0, 1, -1, 3), MASK)  # what got worse is never clipped
    assert free.item() == pytest.approx((-math.exp(-0.5) + math.exp(0.5)) / 2)


def test_the_value_may_not_run_away_from_what_it_was():
    assert value_loss(row(0, 1, 2, 0), row(0, 0, 2, 0), row(0, 2, 2, 0), MASK).item() == pytest.approx(0.5 * 1.8**2 / 2)


@pytest.mark.parametrize(("kl", "beta"), [(12.0, 0.200256), (5.4, 0.199872), (-3.0, 0.199744), (6.0, 0.2)])
def test_the_coefficient_follows_the_kl(kl, beta):
    assert adapted(0.2, kl, 64) == pytest.approx(beta)


def test_the_coefficient_ends_where_the_papers_log_ends():
    """129 batches of 64 replies whose KL stayed below the target: RewardLM's log of RedPajama ends at .170."""
    beta = 0.2
    for _ in range(129):
        beta = adapted(beta, 0.5, 64)
    assert round(beta, 2) == 0.17
