from django.contrib import admin
from django.urls import include, path

from django_site import orders, views

urlpatterns = [
    path("", views.home, name="home"),
    path("me", views.me, name="me"),
    path("orders", orders.orders, name="orders"),
    path("approvals", orders.approvals, name="approvals"),
    path("claims", views.claims, name="claims"),
    path("admin/", admin.site.urls),
    path("auth/", include("django_keyfob.urls")),
]
