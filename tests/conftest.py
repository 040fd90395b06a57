"""What all tests share: Django's settings, where Django is installed, and patience."""

from __future__ import annotations

import importlib.util
import os

from hypothesis import HealthCheck, settings

from support.redis_server import redis_server

__all__ = ["redis_server"]  # a fixture for all tests

# A machine that is busy with something else is no bug of ours.
settings.register_profile(
    "keyfob",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# For another Python, or another installation: the inputs were searched before.
settings.register_profile("again", settings.get_profile("keyfob"), max_examples=20)
settings.load_profile(os.environ.get("KEYFOB_TEST_PROFILE", "keyfob"))

if importlib.util.find_spec("django") is not None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "django_settings"
