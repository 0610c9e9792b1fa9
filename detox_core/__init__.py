"""Detox Lens: see what detoxification does to a language model.

Importing this package is cheap: torch is loaded only by the modules that compute.
"""
