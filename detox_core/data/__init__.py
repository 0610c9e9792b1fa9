"""Data sets: one reader per format behind one registry. Knows nothing of models; listing them imports no torch."""

from detox_core.data.registry import DATASETS, get_dataset

__all__ = ["DATASETS", "get_dataset"]
