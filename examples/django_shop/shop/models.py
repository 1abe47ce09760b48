"""Orders."""

from django.db import models


class Order(models.Model):
    """An order. ``charge_id`` is the id of the result of the task that charges it."""

    item = models.CharField(max_length=100)
    amount = models.PositiveIntegerField()
    is_approved = models.BooleanField(default=False)
    receipt = models.CharField(max_length=100, blank=True)
    charge_id = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(amount__lte=1000), name="amount_at_most_1000"),)

    def __str__(self) -> str:
        return f"{self.item} for {self.amount}"
