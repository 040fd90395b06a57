"""Whole operations, as generators: they yield what is to be done and receive what came of it.

A flow never does I/O, so that one body serves every driver, synchronous or not.
"""

from __future__ import annotations

from keyfob.flows.effects import Call, Effect, Flow, Once, Pause, call, once, pause, send

__all__ = ["Call", "Effect", "Flow", "Once", "Pause", "call", "once", "pause", "send"]
