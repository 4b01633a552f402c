"""A generated project: models with triggers, migrations, and a database of its own.

Whatever is measured runs in fresh processes of that project, once with stock pgtrigger and once
with ``trigger_ops`` before it. Stock code installs every trigger, by its migrations.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from demo_site import embedded

ROOT = Path(__file__).parents[1]
APP = "generated"
CONTRIB = ["django.contrib.contenttypes", "django.contrib.auth"]
STOCK = [*CONTRIB, "pgtrigger", APP]
OURS = [*CONTRIB, "trigger_ops", "pgtrigger", APP]
ADMIN = ["django.contrib.admin", "django.contrib.sessions", "django.contrib.messages"]
WITH_ADMIN: dict[str, Any] = {
    "ALLOWED_HOSTS": ["testserver"],
    "MIDDLEWARE": [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "trigger_ops.web.middleware.SessionMiddleware",
    ],
    "ROOT_URLCONF": "benchmarks.addresses",
    "STATIC_URL": "/static/",
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
}
URL_VARIABLE = "TRIGGER_OPS_BENCHMARK_URL"

# Each trigger has a name of its own: one name on a thousand models would collide, because a
# trigger is told from its namesakes by five hexadecimal digits.
MODELS = """
import pgtrigger
from django.db import models
from pgtrigger import F, Q

BODY = '''
    IF (NEW.amount < 0) THEN
        RAISE EXCEPTION 'Order % has the amount %', NEW.number, NEW.amount;
    END IF;
    NEW.changes = OLD.changes + 1;
    RETURN NEW;
'''

for number in range({models}):
    triggers = [
        pgtrigger.ReadOnly(name=f"number_{{number}}", fields=["number"]),
        pgtrigger.Trigger(name=f"amount_{{number}}", when=pgtrigger.Before, operation=pgtrigger.Update,
                          condition=Q(old__amount__lt=F("new__amount")) | Q(new__paid=False), func=BODY),
        pgtrigger.Protect(name=f"closed_{{number}}", operation=pgtrigger.Update,
                          condition=Q(old__state="closed", old__due__lt="2020-01-01T00:00:00+00:00")),
        pgtrigger.Protect(name=f"delete_{{number}}", operation=pgtrigger.Delete),
        pgtrigger.Trigger(name=f"truncate_{{number}}", when=pgtrigger.Before, operation=pgtrigger.Truncate,
                          level=pgtrigger.Statement, func="RAISE EXCEPTION 'never truncated';"),
    ]
    fields = {{
        "number": models.IntegerField(),
        "amount": models.DecimalField(max_digits=10, decimal_places=2),
        "state": models.CharField(max_length=20),
        "paid": models.BooleanField(default=False),
        "due": models.DateTimeField(null=True),
        "changes": models.IntegerField(default=0),
        f"only_here_{{number}}": models.TextField(),
        "Meta": type("Meta", (), {{"triggers": triggers[:{triggers_each}]}}),
        "__module__": __name__,
    }}
    type(f"Order{{number}}", (models.Model,), fields)
"""
"""Five triggers a model at most, the first three with a WHEN; no two tables are shaped alike."""

CREATE = """
from django.db import connection
name = connection.ops.quote_name(connection.settings_dict["NAME"])
with connection._nodb_cursor() as cursor:
    cursor.execute(f"DROP DATABASE IF EXISTS {name}")
    cursor.execute(f"CREATE DATABASE {name}")
"""
DROP = """
from django.db import connection
name = connection.ops.quote_name(connection.settings_dict["NAME"])
with connection._nodb_cursor() as cursor:
    cursor.execute(f"DROP DATABASE IF EXISTS {name}")
"""
MIGRATE = """
from django.core.management import call_command
from django.db import connection
connection.cursor().execute("SET synchronous_commit = off")
call_command("migrate", verbosity=0)
"""
MAKE_MIGRATIONS = """
from django.core.management import call_command
call_command("makemigrations", "generated", verbosity=0)
"""


@dataclass(frozen=True)
class Project:
    """A project in ``folder`` whose database is at ``url``."""

    folder: Path
    url: str

    def run(self, script: str, *, ours: bool, admin: bool = False, url: str = "") -> Any:
        """Run a script after ``django.setup()`` in a new process; return what it prints last.

        That line is read as JSON; None where nothing is printed. ``url`` is another way to the
        same database; ``admin`` has Django's admin in the project, at ``/admin/``.
        """
        preamble = f"from benchmarks.project import start\nstart(ours={ours}, admin={admin})\n"
        done = subprocess.run(
            [sys.executable, "-c", preamble + script],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)]),
                # Compiled modules as on any server, and nothing left behind in the checkout.
                "PYTHONDONTWRITEBYTECODE": "",
                "PYTHONPYCACHEPREFIX": str(self.folder / "compiled"),
                URL_VARIABLE: url or self.url,
            },
            # Nobody is there to be asked, and stock has no --no-input.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        lines = done.stdout.splitlines()
        return json.loads(lines[-1]) if lines else None


@contextlib.contextmanager
def project(name: str, *, models: int, triggers_each: int) -> Iterator[Project]:
    """Yield a project whose triggers are installed; its database is dropped in the end.

    The server is that of DATABASE_URL, or the embedded one. ``name`` is added to its database's.
    """
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / APP
        (package / "migrations").mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "migrations" / "__init__.py").touch()
        source = MODELS.format(models=models, triggers_each=triggers_each)
        (package / "models.py").write_text(source, encoding="utf-8")
        made = Project(Path(folder), _beside(embedded.ensure(), name))
        made.run(CREATE, ours=False)
        try:
            made.run(MAKE_MIGRATIONS, ours=False)
            made.run(MIGRATE, ours=False)
            made.run(MIGRATE, ours=True)
            yield made
        finally:
            made.run(DROP, ours=False)


def _beside(url: str, name: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path}_{name}"))


def start(*, ours: bool, admin: bool = False) -> None:
    """Start the project in this process, with or without ``trigger_ops``."""
    import django
    from django.conf import settings

    from demo_site import database

    database.choose_driver()
    os.environ["DATABASE_URL"] = os.environ[URL_VARIABLE]
    settings.configure(
        INSTALLED_APPS=[*(OURS if ours else STOCK), *(ADMIN if admin else [])],
        DATABASES={"default": database.databases()["default"]},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SECRET_KEY="benchmarks",
        USE_TZ=True,
        **(WITH_ADMIN if admin else {}),
    )
    django.setup()
