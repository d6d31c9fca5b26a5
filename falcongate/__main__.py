"""`python -m falcongate`: the operator's commands."""

import sys

from falcongate.cli import main

if __name__ == "__main__":
    sys.exit(main())
