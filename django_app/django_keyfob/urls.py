"""Our addresses: `path("auth/", include("django_keyfob.urls"))`."""

from __future__ import annotations

from django.urls import path

from django_keyfob import views

app_name = "keyfob"

urlpatterns = [
    path("login", views.login, name="login"),
    path("callback", views.callback, name="callback"),
    path("logout", views.logout, name="logout"),
    path("logged-out", views.logged_out, name="logged_out"),
    path("frontchannel-logout", views.frontchannel_logout, name="frontchannel_logout"),
    path("backchannel-logout", views.backchannel_logout, name="backchannel_logout"),
    path("resume", views.resume, name="resume"),
    path("done", views.done, name="done"),
    path("keyfob.js", views.script, name="script"),
]
