"""Changes at inference time, one file per method behind one protocol; strength 0 is exactly the unmodified model."""
