"""Hand-computed values for what an attribution matrix says."""

import numpy as np
import pytest

from detox_core.explain.measures import (
    attribution_divergence,
    attribution_entropy,
    effective_tokens,
    longest_entropy,
    merge,
    prompt_dependence,
    shares,
)

# Three prompt tokens, then two generated ones; the second column also reads the first generated token.
RAW = np.array([[2.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
PROMPT = np.array([True, True, True, False, False])


def test_columns_sum_to_one_and_a_column_of_zeros_stays_zero():
    assert shares(RAW).sum(0) == pytest.approx([1, 1])
    assert shares(RAW)[:, 0] == pytest.approx([0.5, 0.25, 0.25, 0, 0])
    assert shares(np.zeros((2, 1))).tolist() == [[0], [0]]


def test_prompt_dependence_is_the_share_on_the_prompt():
    assert prompt_dependence(RAW, PROMPT) == pytest.approx([1, 0.5])


def test_prompt_dependence_without_the_template():
    assert prompt_dependence(RAW, np.array([False, True, True, False, False])) == pytest.approx([0.5, 0.25])


def test_column_of_zeros_has_no_dependence_and_no_entropy():
    zeros = np.zeros((5, 1))
    assert np.isnan(prompt_dependence(zeros, PROMPT)).all()
    assert np.isnan(attribution_entropy(zeros, PROMPT)).all()


def test_entropy_is_over_the_prompt_alone():
    # (1/2, 1/4, 1/4) has 1.5 bits; (1/2, 1/2, 0) has 1 bit, whatever lies on the answer.
    assert attribution_entropy(RAW, PROMPT) == pytest.approx([1.5, 1.0])


def test_even_attribution_has_the_longest_entropy():
    even = np.ones((3, 1))
    everything = np.array([True] * 3)
    assert attribution_entropy(even, everything) == pytest.approx([longest_entropy(everything)])
    assert effective_tokens(attribution_entropy(even, everything)) == pytest.approx([3])


def test_one_token_cannot_vary():
    assert np.isnan(longest_entropy(np.array([True, False])))
    assert attribution_entropy(np.array([[3.0], [1.0]]), np.array([True, False])) == pytest.approx([0])


def test_divergence_of_two_columns():
    p, q = np.array([[0.5], [0.5]]), np.array([[0.25], [0.75]])
    both = np.array([True, True])
    expected = 0.5 * np.log2(0.5 / 0.25) + 0.5 * np.log2(0.5 / 0.75)
    assert attribution_divergence(p, q, both) == pytest.approx([expected], abs=1e-4)
    assert attribution_divergence(p, p, both) == pytest.approx([0])


def test_divergence_is_finite_and_never_negative_where_one_side_is_zero():
    generator = np.random.default_rng(0)
    p, q = generator.random((6, 200)), generator.random((6, 200))
    p[generator.random(p.shape) < 0.5] = 0
    q[generator.random(q.shape) < 0.5] = 0
    values = attribution_divergence(p, q, np.ones(6, dtype=bool))
    assert np.isfinite(values).all()
    assert (values >= 0).all()


def test_merging_sums_rows_and_averages_columns():
    matrix = shares(RAW)
    merged = merge(matrix, rows=[0, 0, 1, 2, 2], columns=[0, 0])
    assert merged.ravel() == pytest.approx([(0.75 + 0.5) / 2, 0.125, 0.25])
    assert merged.sum(0) == pytest.approx([1])
