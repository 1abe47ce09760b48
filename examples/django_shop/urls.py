"""The shop's pages, and Django's admin with the runs."""

from django.contrib import admin
from django.urls import path
from shop import views

urlpatterns = [
    path("", views.orders, name="orders"),
    path("order", views.order, name="order"),
    path("approve/<int:pk>", views.approve, name="approve"),
    path("admin/", admin.site.urls),
]
