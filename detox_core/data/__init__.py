"""Data sets: one reader per format behind one registry. Knows nothing of models; listing them imports no torch and no pandas."""

from detox_core.data.formats import FORMATS
from detox_core.data.registry import DATASETS, get_dataset, read_dataset

__all__ = ["DATASETS", "FORMATS", "get_dataset", "read_dataset"]
