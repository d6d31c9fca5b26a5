"""Run the operator's commands: `python -m falcongate`."""

import sys

from falcongate.cli import main

sys.exit(main())
