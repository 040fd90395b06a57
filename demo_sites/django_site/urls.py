from django.contrib import admin
from django.urls import include, path

from django_site import views

urlpatterns = [
    path("", views.home, name="home"),
    path("me", views.me, name="me"),
    path("claims", views.claims, name="claims"),
    path("admin/", admin.site.urls),
    path("auth/", include("django_keyfob.urls")),
]
