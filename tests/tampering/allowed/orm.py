"""Everyday work of Django's ORM."""

# policy: session
# expect: changed

from __future__ import annotations

from django.db import transaction

from demo_site.past.models import Customer, Invoice, Receipt
from tests.tampering.world import World


def attack(_world: World) -> None:
    Receipt.objects.create(number="n")
    Receipt.objects.bulk_create([Receipt(number="o"), Receipt(number="p")])
    with transaction.atomic():
        one = Customer.objects.select_for_update().get()
        one.name = "other"
        one.save()
    Customer.objects.update_or_create(email=one.email, defaults={"name": "third"})
    Invoice.objects.update(total=11)
    assert list(Receipt.objects.iterator())
