"""A new project's settings, and what Keyfob's quick start adds to them."""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The environment names another folder when the site must not write into the checkout.
DATA = Path(os.environ.get("DJANGO_SITE_DATA", HERE))

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
DEBUG = os.environ.get("DJANGO_DEBUG") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# Keyfob
INSTALLED_APPS += ["django_keyfob"]
MIDDLEWARE += ["django_keyfob.middleware.KeyfobMiddleware"]
AUTHENTICATION_BACKENDS = ["django_keyfob.backends.KeyfobBackend"]
LOGIN_URL = "keyfob:login"
ORDERS_URL = os.environ.get("ORDERS_API_URL", "http://localhost:5001")
KEYFOB = {  # the environment has KEYFOB_AUTHORITY, KEYFOB_CLIENT_ID and KEYFOB_CLIENT_SECRET
    "DOWNSTREAM_APIS": {
        "orders": {"base_url": ORDERS_URL, "scopes": ["api://orders/Orders.Read"]},
        "ordering": {"base_url": ORDERS_URL, "scopes": ["api://orders/Orders.Write"]},
    }
}

ROOT_URLCONF = "django_site.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "templates"],
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
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA / "django_site.sqlite3"}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
STATICFILES_DIRS = [HERE / "static"]
USE_TZ = True
