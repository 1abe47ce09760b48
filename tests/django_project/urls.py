"""No pages of its own yet."""

urlpatterns: list[object] = []
