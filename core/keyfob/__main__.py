"""``python -m keyfob``: try sign-in and tokens in the terminal."""

from __future__ import annotations

import sys

from keyfob.tester import main

if __name__ == "__main__":
    sys.exit(main())
