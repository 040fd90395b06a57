"""The Django tests' site, as Gunicorn loads it: its settings are in the environment, as JSON."""

from __future__ import annotations

import json
import os

_given = json.loads(os.environ["RELIABILITY_SITE"])

from django_settings import *  # noqa: E402,F403

SECRET_KEY = _given["secret"]
KEYFOB = _given["keyfob"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _given["database"],
        "USER": "keyfob",
        "NAME": "postgres",
        "OPTIONS": {"connect_timeout": 2},
    }
}
# Kept in the cookie, so that who is signed in is known without the database.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
