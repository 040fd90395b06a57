"""The interactive tester, ``python -m keyfob``: every verb of the applications, by hand.

It stands above everything else in the core, and nothing of the core knows it.
"""

from keyfob.tester.command import main

__all__ = ["main"]
