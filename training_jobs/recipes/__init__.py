"""Committed recipes that rebuild everything under detox_core/demo/. Run as `python -m training_jobs.recipes.NAME`."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # all they read is on disk
