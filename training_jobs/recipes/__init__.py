"""Committed recipes that rebuild everything under detox_core/demo/. Run as `python -m training_jobs.recipes.NAME`."""
