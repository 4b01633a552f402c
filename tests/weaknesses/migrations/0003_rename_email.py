"""Rename a column that a trigger's condition names."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """The trigger is not touched: PostgreSQL follows the rename by itself."""

    dependencies = [("past", "0002_freeze_prices")]
    operations = [migrations.RenameField("customer", "email", "mail")]
