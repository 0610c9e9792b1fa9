"""Models and variants: listing them (cheap) and loading them (torch)."""
