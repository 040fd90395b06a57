"""The Flask tests' site, as Gunicorn loads it: its settings are in the environment, as JSON."""

from __future__ import annotations

import json
import os

from flask_ext.site import make_app

_given = json.loads(os.environ["RELIABILITY_SITE"])
app = make_app(
    _given["keyfob"], config={"SECRET_KEY": _given["secret"]}, instance_path=_given["folder"]
)
