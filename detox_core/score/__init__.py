"""Scorers: one number for one text, with a reason when there is none. Listing them imports no torch."""

from detox_core.score.registry import PRESETS, Scorer, get_scorer

__all__ = ["PRESETS", "Scorer", "get_scorer"]
