"""The shop's pages, Django's admin, and the pages of the runs."""

from django.contrib import admin
from django.urls import include, path
from shop import views

urlpatterns = [
    path("", views.orders, name="orders"),
    path("order", views.order, name="order"),
    path("approve/<int:pk>", views.approve, name="approve"),
    path("admin/", admin.site.urls),
    path("jobs/", include("jobs.django.urls")),
]
