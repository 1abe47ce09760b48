from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("item", models.CharField(max_length=100)),
                ("amount", models.PositiveIntegerField()),
                ("is_approved", models.BooleanField(default=False)),
                ("receipt", models.CharField(blank=True, max_length=100)),
                ("charge_id", models.CharField(blank=True, max_length=64)),
            ],
            options={
                "constraints": (
                    models.CheckConstraint(condition=models.Q(("amount__lte", 1000)), name="amount_at_most_1000"),
                )
            },
        ),
    )
