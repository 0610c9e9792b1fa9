"""What an attribution matrix says in numbers. numpy only; knows nothing of models.

A matrix has one row per token read (prompt, then answer) and one column per generated token. Column g is about the tokens before it,
so its rows from `prompt + g` on are 0.
"""

import numpy as np

SMOOTHING = 1e-6


def shares(raw: np.ndarray) -> np.ndarray:
    """Columns scaled to sum 1 (Scalena et al. 2023, footnote 6); a column of zeros stays zero.

    Args:
        raw: scores (tokens, generated), not negative.
    """
    total = raw.sum(0, keepdims=True)
    return np.divide(raw, total, out=np.zeros_like(raw, dtype=float), where=total > 0)


def prompt_dependence(matrix: np.ndarray, prompt: np.ndarray) -> np.ndarray:
    """Share of each column's attribution that lies on the prompt (generated,); NaN for a column of zeros.

    Args:
        matrix: scores or shares (tokens, generated).
        prompt: booleans (tokens,): the rows that count as prompt, for example without those of the chat template.
    """
    total = matrix.sum(0)
    return np.divide(matrix[prompt].sum(0), total, out=np.full(matrix.shape[1], np.nan), where=total > 0)


def attribution_entropy(matrix: np.ndarray, prompt: np.ndarray) -> np.ndarray:
    """Entropy in bits of each column over the prompt rows, renormalised to sum 1 (generated,); NaN where they are all 0.

    0 = one token carries everything; log2(n) = all n alike. The raw number grows with the length of the prompt: divide by
    `longest_entropy` to compare prompts.
    """
    part = matrix[prompt]
    p = shares(part)
    logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
    return np.where(part.sum(0) > 0, -(p * logs).sum(0), np.nan)


def longest_entropy(prompt: np.ndarray) -> float:
    """The largest `attribution_entropy` possible: log2 of the number of prompt tokens; NaN below two tokens, where nothing can vary."""
    count = int(prompt.sum())
    return float(np.log2(count)) if count > 1 else float("nan")


def effective_tokens(entropy: np.ndarray) -> np.ndarray:
    """2^H: over how many prompt tokens the attribution is spread, as if evenly."""
    return np.exp2(entropy)


def attribution_divergence(p: np.ndarray, q: np.ndarray, prompt: np.ndarray) -> np.ndarray:
    """Kullback-Leibler divergence in bits between the prompt rows of two matrices, column by column (generated,).

    Both are smoothed by 1e-6 and renormalised, so that it is finite and never negative. Leaving out the tokens where q is 0 instead,
    as published plots did, can give negative numbers, which a divergence cannot be.
    """
    first, second = shares(p[prompt] + SMOOTHING), shares(q[prompt] + SMOOTHING)
    return np.maximum((first * np.log2(first / second)).sum(0), 0)


def merge(matrix: np.ndarray, rows: list[int], columns: list[int]) -> np.ndarray:
    """Tokens merged to larger units: rows are summed, columns averaged.

    Args:
        matrix: shares (tokens, generated).
        rows, columns: the unit of each token, ascending from 0; for example the words.

    Returns:
        Shares (row units, column units); each column still sums to 1.
    """
    down = np.zeros((max(rows, default=-1) + 1, len(rows)))
    down[rows, range(len(rows))] = 1
    across = np.zeros((len(columns), max(columns, default=-1) + 1))
    across[range(len(columns)), columns] = 1
    return down @ matrix @ (across / np.maximum(across.sum(0, keepdims=True), 1))
