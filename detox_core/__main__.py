"""`python -m detox_core ...`"""

import sys

from detox_core.cli import main

sys.exit(main())
