"""Detox Lens: see what detoxification does to a language model.

Importing this package is cheap: torch is loaded only by the modules that compute.
"""

import logging
import os
import warnings

# What the libraries say on loading and nobody can act on: an optional kernel, untrained heads that the next step fills.
logging.getLogger("bitsandbytes").setLevel(logging.CRITICAL)
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
