"""Microsoft sign-in, and the API tokens that come with it, for Flask.

app.config.from_prefixed_env()          # FLASK_SECRET_KEY, FLASK_KEYFOB_CLIENT_ID, ...
Keyfob(app)

@app.get("/")
@login_required
def home():
    return f"Hello {current_user.name}"
"""

from flask_keyfob.bearer import bearer_required
from flask_keyfob.decorators import login_required
from flask_keyfob.extension import Keyfob
from flask_keyfob.links import login_url, logout_form, script_tag
from flask_keyfob.permissions import groups_required, roles_required
from flask_keyfob.proxies import current_caller, current_user, downstream_api
from flask_keyfob.step_up import step_up
from flask_keyfob.workers import (
    app_api,
    app_token,
    background,
    end_background,
    start_background,
)

__all__ = [
    "Keyfob",
    "app_api",
    "app_token",
    "background",
    "bearer_required",
    "current_caller",
    "current_user",
    "downstream_api",
    "end_background",
    "groups_required",
    "login_required",
    "login_url",
    "logout_form",
    "roles_required",
    "script_tag",
    "start_background",
    "step_up",
]
