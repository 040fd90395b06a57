"""Django's settings for the tests: a project with everything stock, and a database of its own."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

# Each process of the tests has its own; in memory where the machine has such a folder.
_MEMORY = Path("/dev/shm")
DATABASE_FOLDER = Path(
    tempfile.mkdtemp(prefix="keyfob-tests-", dir=_MEMORY if _MEMORY.is_dir() else None)
)
atexit.register(shutil.rmtree, DATABASE_FOLDER, ignore_errors=True)

SECRET_KEY = "a secret key of the tests' own, long enough to be one, and with many letters"
ALLOWED_HOSTS = ["*"]
DEBUG = False
USE_TZ = True
BASE_DIR = DATABASE_FOLDER
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING_CONFIG = None

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django_keyfob",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_keyfob.middleware.KeyfobMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATABASE_FOLDER / "db.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA synchronous=OFF"},
    }
}
AUTHENTICATION_BACKENDS = ["django_keyfob.backends.KeyfobBackend"]
ROOT_URLCONF = "django_app.urls"
LOGIN_URL = "keyfob:login"
KEYFOB: dict[str, object] = {
    "OIDC_AUTHORITY": "http://127.0.0.1:1",
    "CLIENT_ID": "a-client",
    "CLIENT_SECRET": "a-secret-of-the-tests",
    "DOWNSTREAM_APIS": {"api": {"base_url": "http://127.0.0.1:1/api", "scopes": []}},
}
