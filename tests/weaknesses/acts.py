"""What a user of the tables does, and what an attacker builds."""

from __future__ import annotations

from demo_site.past.models import Customer, Invoice
from tests.damage import run, within


def delete_an_invoice() -> None:
    """Delete a row of a table whose trigger forbids that."""
    invoice = Invoice.objects.create(number="2026-900", total=1)
    assert Invoice.objects.filter(pk=invoice.pk).delete()[0] == 1


def change_an_email() -> None:
    """Change a field that a trigger keeps read-only."""
    customer = Customer.objects.create(name="E. Falk", email="falk@example.org")
    assert Customer.objects.filter(pk=customer.pk).update(email="other@example.org") == 1


def make_operator(name: str, left: str, right: str, *, schema: str) -> None:
    """Make an operator that says that everything is equal to everything."""
    run(
        f"CREATE FUNCTION {{function}}({left}, {right}) RETURNS boolean IMMUTABLE LANGUAGE sql "
        "AS 'SELECT true'",
        function=within(schema, "always"),
    )
    run(
        f"CREATE OPERATOR {{schema}}.{name} (LEFTARG = {left}, RIGHTARG = {right}, "
        "FUNCTION = {function})",
        schema=schema,
        function=within(schema, "always"),
    )
