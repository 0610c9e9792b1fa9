"""Metrics: one number over many scores. Knows nothing of models or pages."""
