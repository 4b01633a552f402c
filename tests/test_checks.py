from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pgtrigger
import pytest
from django.apps import apps
from django.core import checks as django_checks
from django.db import connection, connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import DatabaseError

from demo_site.past import damage
from demo_site.past.models import Customer
from tests.damage import pgid, run
from tests.management.conftest import Site
from trigger_ops import checks, conf
from trigger_ops.checks.databases import check_before_migrating, check_drift
from trigger_ops.checks.project import check_apps, check_settings, settings_messages
from trigger_ops.checks.triggers import check_triggers

LEVELS = {
    django_checks.INFO: "Info",
    django_checks.WARNING: "Warning",
    django_checks.ERROR: "Error",
    django_checks.CRITICAL: "Critical",
}
on_databases = pytest.mark.django_db(databases=["default", "archive"])


def told(messages: Any) -> list[tuple[str, str]]:
    """Return (level, ID) of each message."""
    return [(LEVELS[one.level], one.id.removeprefix("trigger_ops.")) for one in messages]


@pytest.fixture
def site(db: None) -> Site:
    return Site(
        {alias: connections[alias].settings_dict["NAME"] for alias in ("default", "archive")}
    )


# The project ---------------------------------------------------------------------------------


def test_the_tests_own_project_is_in_order() -> None:
    assert check_apps() == []
    assert check_settings() == []
    assert check_triggers() == []


@pytest.mark.parametrize(
    ("order", "code"), [(("pgtrigger", "trigger_ops"), "S001"), (("trigger_ops",), "S002")]
)
def test_an_order_of_apps_that_hides_our_command_is_an_error(
    order: tuple[str, ...], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [apps.get_app_config(label) for label in order]
    monkeypatch.setattr(apps, "get_app_configs", lambda: configs)
    (message,) = check_apps()
    assert told([message]) == [("Error", code)]
    assert message.hint


@on_databases
def test_the_wrong_order_stops_manage_py(site: Site) -> None:
    names = [config.name for config in apps.get_app_configs()]
    names.remove("trigger_ops")
    result = site.manage("check", apps=[*names, "trigger_ops"])
    assert result.code == 1
    assert "(trigger_ops.S001)" in result.err


# Settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({}, []),
        (dict(conf.DEFAULTS), []),
        ([], [("Error", "S003")]),
        ({"ENABELD": {}}, [("Error", "S004")]),
        ({7: {}}, [("Error", "S004")]),
        ({"ENABLED": ["past"]}, [("Error", "S005")]),
        ({"FAST_REGISTRY": "no"}, [("Error", "S005")]),
        ({"STATEMENT_TIMEOUT": "30s"}, [("Error", "S005")]),
        ({"STATEMENT_TIMEOUT": True}, [("Error", "S005")]),
        ({"STATEMENT_TIMEOUT": -1}, [("Error", "S005")]),
        ({"LOCK_TIMEOUT": 2**31}, [("Error", "S005")]),
        ({"LOCK_TIMEOUT": 2**31 - 1}, []),
        ({"ENABLED": {5: "always"}}, [("Error", "S005")]),
        ({"STATEMENT_TIMEOUT": 0}, []),
        ({"RECORD_DATABASE": None}, [("Error", "S005")]),
        ({"RECORD_DATABASE": "defualt"}, [("Error", "S007")]),
        ({"RECORD_DATABASE": "archive"}, []),
        ({"ENABLED": {"past.Customer": "always"}}, []),
        ({"ENABLED": {"past.Customer": "ALWAYS"}}, []),
        ({"ENABLED": {"past.Customer": "often"}}, [("Error", "S006")]),
        ({"ENABLED": {"past.Customer": True}}, [("Error", "S006")]),
        ({"ENABLED": {"past.Custmer": "always"}}, [("Warning", "S008")]),
        ({"POLICY": "session"}, []),
        ({"POLICY": "OPEN"}, []),
        ({"POLICY": "closed"}, [("Error", "S024")]),
        ({"POLICY": ["open"]}, [("Error", "S005")]),
        ({"POLICIES": {"past.Customer": "four_eyes"}}, []),
        ({"POLICIES": {"past.Customer": "six_eyes"}}, [("Error", "S024")]),
        ({"POLICIES": {"past.Custmer": "open"}}, [("Warning", "S008")]),
        ({"POLICIES": {1: "open"}}, [("Error", "S005")]),
        ({"APPROVALS": 0}, [("Error", "S005")]),
        ({"APPROVALS": 2**15}, [("Error", "S005")]),
        ({"SESSION_EXTENSIONS": 2**15}, [("Error", "S005")]),
        ({"SESSION_EXTENSIONS": 2**15 - 1}, []),
        ({"SESSION_TRIGGERS": 0}, [("Error", "S005")]),
        ({"SESSION_ROWS": "many"}, [("Error", "S005")]),
        ({"SESSION_REASON": 0}, [("Error", "S005")]),
        ({"SESSION_EXTENSIONS": 0}, []),
        ({"SESSION_IDLE": "soon"}, [("Error", "S023")]),
        ({"SESSION_WAITS": "0s"}, [("Error", "S023")]),
        ({"SESSION_DURATION": "5h"}, [("Error", "S026")]),
        ({"SESSION_DURATION": "5h", "SESSION_LONGEST": "6h"}, []),
        ({"SESSION_LONGEST": "10m"}, [("Error", "S026")]),
        ({"MASK": "("}, [("Error", "S025")]),
        ({"MASK": ""}, []),
        ({"APP_ROLES": ["app"]}, []),
        ({"APP_ROLES": "app"}, [("Error", "S005")]),
        ({"APP_ROLES": [""]}, [("Error", "S005")]),
        ({"RUNBOOK": ""}, []),
        ({"RUNBOOK": None}, [("Error", "S005")]),
    ],
)
def test_each_wrong_setting_has_its_message(
    declared: object, expected: list[tuple[str, str]]
) -> None:
    assert told(settings_messages(declared)) == expected


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"ENABELD": {}}, 'TRIGGER_OPS has no key "ENABELD": did you mean "ENABLED"?'),
        (
            {"ENABLED": {"past": "on"}},
            'TRIGGER_OPS["ENABLED"]["past"] is \'on\', which is no mode.',
        ),
        ({"RECORD_DATABASE": "x"}, 'TRIGGER_OPS["RECORD_DATABASE"] is "x", which is no alias'),
        (
            {"POLICIES": {"past": "shut"}},
            'TRIGGER_OPS["POLICIES"]["past"] is \'shut\', which is no policy.',
        ),
    ],
)
def test_a_message_says_what_is_wrong_with_what(declared: object, words: str) -> None:
    (message,) = settings_messages(declared)
    assert message.msg.startswith(words)
    assert message.hint


def test_what_the_project_declares_is_what_is_checked(settings: Any) -> None:
    settings.TRIGGER_OPS = ["ENABLED"]
    assert told(check_settings()) == [("Error", "S003")]


# Triggers ------------------------------------------------------------------------------------


class Uncompilable(pgtrigger.Trigger):
    """What a trigger looks like whose code has a mistake."""

    when = pgtrigger.Before
    operation = pgtrigger.Insert

    def get_func(self, model: Any) -> str:
        raise AttributeError("no such field")


def a_trigger(**options: Any) -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        **{
            "name": "linted",
            "when": pgtrigger.Before,
            "operation": pgtrigger.Update,
            "func": "RETURN NEW;",
            **options,
        }
    )


LINTS: list[tuple[pgtrigger.Trigger, str | None]] = [
    (a_trigger(), None),
    (a_trigger(name="no-del"), "S010"),
    (a_trigger(name="With_Capitals_1"), None),
    (a_trigger(func="NEW.name = $$x$$; RETURN NEW;"), "S011"),
    (a_trigger(func="NEW.name = $x$ $ $x$; RETURN NEW;"), None),
    (a_trigger(condition=pgtrigger.Condition("OLD.name = '$$'")), None),
    (a_trigger(condition=pgtrigger.Condition("(OLD.name = 'a') OR (OLD.name = 'b')")), "S012"),
    (a_trigger(condition=pgtrigger.Condition("((OLD.name = 'a') OR (OLD.name = 'b'))")), None),
    (a_trigger(condition=pgtrigger.Condition("(OLD.name = ')') ")), None),
    (a_trigger(condition=pgtrigger.Condition("(OLD.name = '(') OR (OLD.name = ')')")), "S012"),
    (a_trigger(condition=pgtrigger.Condition("(OLD.name, 1) IS DISTINCT FROM ('a', 1)")), "S012"),
    (a_trigger(condition=pgtrigger.Q(old__name="a") | pgtrigger.Q(new__name="b")), None),
    (Uncompilable(name="uncompilable"), "S013"),
    (a_trigger(operation=pgtrigger.Truncate), "S014"),
    (a_trigger(operation=pgtrigger.Truncate, level=pgtrigger.Statement), None),
    (a_trigger(operation=pgtrigger.Insert, condition=pgtrigger.Q(old__name="a")), "S015"),
    (a_trigger(operation=pgtrigger.Insert, condition=pgtrigger.Q(new__name="OLD.x")), None),
    (
        a_trigger(
            operation=pgtrigger.Insert | pgtrigger.Update, condition=pgtrigger.Q(old__name="a")
        ),
        "S015",
    ),
    (a_trigger(operation=pgtrigger.Delete, condition=pgtrigger.Q(new__name="a")), "S015"),
    (a_trigger(operation=pgtrigger.Delete, condition=pgtrigger.Q(old__name="a")), None),
    (
        a_trigger(level=pgtrigger.Statement, condition=pgtrigger.Condition("NEW.name = 'a'")),
        "S015",
    ),
    (
        a_trigger(
            level=pgtrigger.Statement, condition=pgtrigger.Condition("pg_backend_pid() > 0")
        ),
        None,
    ),
]


@pytest.fixture
def registered(request: pytest.FixtureRequest) -> Iterator[pgtrigger.Trigger]:
    trigger: pgtrigger.Trigger = request.param
    trigger.register(Customer)
    yield trigger
    trigger.unregister(Customer)


@on_databases
@pytest.mark.parametrize(("registered", "code"), LINTS, indirect=["registered"])
def test_a_trigger_is_warned_about_exactly_when_postgresql_refuses_it(
    registered: pgtrigger.Trigger, code: str | None
) -> None:
    messages = check_triggers(app_configs=[apps.get_app_config("past")])
    assert told(messages) == ([("Warning", code)] if code else [])
    assert all(one.obj == f"past.Customer:{registered.name}" for one in messages)
    try:
        with transaction.atomic():
            registered.install(Customer)
    except (DatabaseError, AttributeError):
        refused = True
    else:
        refused = False
    assert refused is bool(code)


@pytest.mark.parametrize("registered", [a_trigger(name="no-del")], indirect=True)
def test_only_the_apps_asked_for_are_linted(registered: pgtrigger.Trigger) -> None:
    assert check_triggers(app_configs=[apps.get_app_config("tutorial")]) == []
    assert told(check_triggers()) == [("Warning", "S010")]


# Databases -----------------------------------------------------------------------------------


@on_databases
@pytest.mark.parametrize("check", [check_drift, check_before_migrating])
@pytest.mark.parametrize("databases", [None, [], ["lite"]])
def test_only_postgresql_databases_that_are_named_are_read(
    check: Callable[..., Any], databases: list[str] | None, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        assert check(databases=databases) == []


@on_databases
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (damage.gut, ("Critical", "C001")),
        (damage.disable, ("Error", "E002")),
        (damage.outdate, ("Warning", "W001")),
        (damage.foreign, ("Info", "I002")),
    ],
)
def test_drift_has_the_id_and_level_of_its_finding(
    change: Callable[[], str], expected: tuple[str, str]
) -> None:
    assert expected not in told(check_drift(databases=["default"]))
    change()
    assert expected in told(check_drift(databases=["default"]))


@on_databases
def test_a_finding_names_its_trigger_and_the_command() -> None:
    damage.gut()
    (message,) = [one for one in check_drift(databases=["default"]) if one.level >= 40]
    assert message.obj == "past.Invoice:protect_deletes (default public.past_invoice)"
    assert message.hint == (
        f"manage.py pgtrigger install past.Invoice:protect_deletes (see {conf.runbook('C001')})"
    )


@on_databases
def test_before_migrating_too_the_page_is_named() -> None:
    damage.outdate()
    (message,) = check_before_migrating(databases=["default"])
    assert f"(see {conf.runbook('W001')})" in str(message.hint)


@on_databases
def test_a_hostile_name_cannot_fake_a_line_or_reach_the_terminal() -> None:
    hostile = "pgtrigger_\x1b[2J\n::error::fake"
    run(
        "CREATE TRIGGER {hostile} BEFORE DELETE ON past_shipment FOR EACH ROW "
        "EXECUTE FUNCTION {function}()",
        hostile=hostile,
        function=pgid("past.Shipment:protect_deletes"),
    )
    messages = check_drift(databases=["default"])
    texts = [f"{one.msg}{one.hint}" for one in (*messages, *check_before_migrating(["default"]))]
    assert "fake" in "".join(texts)
    assert all(text.isprintable() for text in texts)


@on_databases
def test_a_healthy_database_says_nothing_before_migrating() -> None:
    assert check_before_migrating(databases=["default"]) == []


@on_databases
def test_nothing_stops_migrate_however_bad_it_is() -> None:
    damage.apply()
    messages = check_before_migrating(databases=["default"])
    assert told(messages) == [("Warning", "W001"), ("Warning", "W002"), ("Warning", "S021")]
    assert messages[-1].msg == (
        '2 serious findings on "default": '
        "past.Invoice:protect_deletes, past.Payroll:read_only_employee."
    )
    assert messages[-1].hint == "manage.py pgtrigger check -d default"


@on_databases
def test_what_waits_for_a_migration_is_info() -> None:
    damage.outdate()
    MigrationRecorder(connection).record_unapplied("past", "0002_freeze_prices")
    messages = check_before_migrating(databases=["default"])
    assert told(messages) == [("Info", "I001")]
    assert 'On "default": past.PriceList:read_only.' in messages[0].msg


@on_databases
def test_an_old_server_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(connections["default"]), "pg_version", 140_012)
    (message,) = check_before_migrating(databases=["default"])
    assert told([message]) == [("Warning", "S020")]
    assert message.msg == 'The server of "default" is PostgreSQL 14.'


@on_databases
@pytest.mark.parametrize(
    ("arguments", "code"),
    [((), 0), (("--deploy", "--tag", "trigger_ops"), 1)],
    ids=["a warning before migrate", "an error where drift is asked for"],
)
def test_a_database_that_is_down_is_one_message(
    arguments: tuple[str, ...], code: int, site: Site
) -> None:
    result = site.manage("check", "--database", "down", *arguments, down=True)
    assert result.code == code
    assert result.err.count("(trigger_ops.S022)") == 1
    assert "Traceback" not in result.err


# Registration --------------------------------------------------------------------------------


@on_databases
def test_the_checks_are_registered_where_they_belong() -> None:
    registry = django_checks.registry.registry
    ours = {check_apps, check_settings, check_triggers, check_before_migrating}
    assert {one.__name__ for one in ours} <= {one.__name__ for one in registry.registered_checks}
    assert check_drift.__name__ in {one.__name__ for one in registry.deployment_checks}
    damage.gut()
    without = django_checks.run_checks(tags=[checks.TAG], databases=["default"])
    assert told(without) == []
    deployed = django_checks.run_checks(
        tags=[checks.TAG], include_deployment_checks=True, databases=["default"]
    )
    assert ("Critical", "C001") in told(deployed)


def test_every_id_of_the_checks_is_documented_and_no_other() -> None:
    package = Path(checks.__file__).parent
    used = {
        code
        for module in package.glob("*.py")
        if module.name != "__init__.py"
        for code in re.findall(r'"(?:trigger_ops\.)?(S\d{3})"', module.read_text())
    }
    assert used == set(re.findall(r"^\| (S\d{3}) \|", checks.__doc__ or "", re.M))
