"""`python -m promise` is `promise`."""

import sys

from promise.cli import main

if __name__ == "__main__":
    sys.exit(main())
