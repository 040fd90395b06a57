"""A project whose users sign in by e-mail address, with a model of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MODELS = """
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models


class Person(AbstractBaseUser):
    email = models.EmailField(unique=True, max_length=100)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
"""
SCRIPT = """
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x" * 50,
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
        "people", "django_keyfob",
    ],
    AUTH_USER_MODEL="people.Person",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    AUTHENTICATION_BACKENDS=["django_keyfob.backends.KeyfobBackend"],
    KEYFOB={"OIDC_AUTHORITY": "http://127.0.0.1:1", "CLIENT_ID": "c", "CLIENT_SECRET": "a-secret"},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

from django.contrib.auth import authenticate
from django.core.management import call_command
from people.models import Person

from keyfob.web import Identity

call_command("migrate", run_syncdb=True, verbosity=0, skip_checks=True)


def sign_in(subject, **claims):
    return authenticate(None, keyfob_identity=Identity("i", subject, claims))


proven = sign_in("1", email="ada@x.example", email_verified=True, name="Ada")
assert proven.email == "ada@x.example"
assert not proven.has_usable_password()
assert sign_in("1", email="new@x.example", email_verified=True) == proven

local = Person.objects.create(email="grace@x.example")
for subject, claims in {
    "unproven": {"email": "else@x.example"},
    "taken": {"email": "Grace@x.example", "email_verified": True},
    "long": {"email": "a" * 60 + "@" + "b" * 60 + ".example", "email_verified": True},
    "none": {"preferred_username": "eve@x.example"},
}.items():
    user = sign_in(subject, **claims)
    assert user.email.endswith("@no-mail.invalid"), user.email
    assert user != local
assert Person.objects.count() == 6
print("fine")
"""


def test_users_by_e_mail_address_get_a_proven_one_or_none(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "__init__.py").touch()
    (tmp_path / "people" / "models.py").write_text(MODELS)
    kept = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    roots = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        env={**kept, "PYTHONPATH": roots},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "fine", done.stderr
