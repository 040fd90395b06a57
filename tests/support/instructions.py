"""How much Python a call runs: a measure that is the same on every machine, however busy."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any


def instructions_by_file(call: Callable[[], object]) -> Counter[str]:
    """How many instructions of Python's a call takes, by the name of the file."""
    counted: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        frame.f_trace_opcodes = True
        counted[Path(frame.f_code.co_filename).name] += event == "opcode"
        return trace

    before = sys.gettrace()
    # Python 3.12 looks at this when tracing begins, and not again.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return counted
