"""The project's pages: Django's admin, and the ledger's own pages."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("ops/jobs/", include("jobs.django.urls"))]
