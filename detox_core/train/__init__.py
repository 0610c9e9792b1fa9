"""Rewards and their guards, for training against a scorer. Knows nothing of trainers or pages."""
