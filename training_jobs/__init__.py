"""Training and long measuring jobs: one process and one folder per run."""
