"""What all tests share: Django's settings, where Django is installed."""

from __future__ import annotations

import importlib.util
import os

if importlib.util.find_spec("django") is not None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "django_settings"
