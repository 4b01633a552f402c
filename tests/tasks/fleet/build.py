"""Fill a database with tenants: each gets the tables and triggers that stock makes in `public`."""

from __future__ import annotations

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from pgtrigger.registry import registered

django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)
call_command("pgtrigger", "install", "--no-input", verbosity=0)
triggers = [(model, trigger) for model, trigger in registered()]
tables = list(dict.fromkeys(model._meta.db_table for model, _ in triggers))
statements = ";".join(
    [
        *(f"CREATE TABLE {table} (LIKE public.{table} INCLUDING ALL)" for table in tables),
        "CREATE TABLE django_migrations (LIKE public.django_migrations INCLUDING ALL)",
        "INSERT INTO django_migrations SELECT * FROM public.django_migrations",
        *(trigger.compile(model).install_sql for model, trigger in triggers),
    ]
)
with connection.cursor() as cursor:
    for number in range(1, settings.FLEET["schemas"]):
        path = f"CREATE SCHEMA tenant_{number}; SET LOCAL search_path = tenant_{number}, public;"
        cursor.execute(path + statements)
