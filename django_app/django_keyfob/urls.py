"""Our addresses: `path("auth/", include("django_keyfob.urls"))`."""

from __future__ import annotations

from django.urls import path

from django_keyfob import views

app_name = "keyfob"

_OF_EACH_AUTHORITY = (
    ("login", views.login, "login"),
    ("callback", views.callback, "callback"),
    ("logged-out", views.logged_out, "logged_out"),
    ("frontchannel-logout", views.frontchannel_logout, "frontchannel_logout"),
    ("backchannel-logout", views.backchannel_logout, "backchannel_logout"),
)

urlpatterns = [
    path("logout", views.logout, name="logout"),
    path("resume", views.resume, name="resume"),
    path("done", views.done, name="done"),
    path("keyfob.js", views.script, name="script"),
    path("accounts", views.accounts, name="accounts"),
    *(path(route, view, name=name) for route, view, name in _OF_EACH_AUTHORITY),
    *(
        path(f"{route}/<slug:authority>", view, name=name)
        for route, view, name in _OF_EACH_AUTHORITY
    ),
]
