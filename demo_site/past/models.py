"""Models whose triggers :mod:`demo_site.past.damage` damages, and two that stay healthy."""

from __future__ import annotations

import pgtrigger
from django.db import models


class Invoice(models.Model):
    """Somebody replaced the body of its function: invoices can be deleted."""

    number = models.CharField(max_length=16)
    total = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        triggers = [pgtrigger.Protect(name="protect_deletes", operation=pgtrigger.Delete)]


class PriceList(models.Model):
    """The database never got the second version of its trigger: prices can still change."""

    article = models.CharField(max_length=64)
    price = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="read_only", fields=["article", "price"])]


class Payroll(models.Model):
    """Its trigger was disabled for one correction, and nobody enabled it again."""

    employee = models.CharField(max_length=64)
    salary = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="read_only_employee", fields=["employee"])]


class Contract(models.Model):
    """A trigger of older code is still on its table."""

    party = models.CharField(max_length=64)
    signed = models.BooleanField(default=False)

    class Meta:
        triggers = [pgtrigger.Protect(name="protect_deletes", operation=pgtrigger.Delete)]


class Shipment(models.Model):
    """The database's administrator put a trigger on its table by hand."""

    destination = models.CharField(max_length=64)

    class Meta:
        triggers = [pgtrigger.Protect(name="protect_deletes", operation=pgtrigger.Delete)]


class Receipt(models.Model):
    """Healthy: rows are added, never changed."""

    number = models.CharField(max_length=16)

    class Meta:
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]


class Customer(models.Model):
    """Healthy: the e-mail address is read-only."""

    name = models.CharField(max_length=64)
    email = models.EmailField()

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="read_only_email", fields=["email"])]
