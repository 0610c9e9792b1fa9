"""The presenter's stage: prepared comparisons in order, their file, and their rehearsal."""
