"""The settings in docs/whose-token.md are settings."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from support.settings_cases import load

PAGE = Path(__file__).parents[2] / "docs" / "whose-token.md"


def test_the_pages_settings_are_right() -> None:
    (block,) = re.findall(r'```python\n("DOWNSTREAM_APIS": .*?)```', PAGE.read_text(), re.DOTALL)
    apis = load(**ast.literal_eval(f"{{{block}}}")).downstream_apis
    assert apis["orders"].attach_to == ("/orders", "/api/orders")
    assert apis["jobs"].app_only
