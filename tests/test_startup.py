from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pgtrigger
import pytest
from django.apps import apps
from django.apps.registry import Apps
from django.db import models
from pgtrigger import registry
from pgtrigger.registry import _Registry

import trigger_ops
from trigger_ops import startup
from trigger_ops.startup import FastRegistry, fits, install_fast_registry

Registries = Callable[[type[_Registry]], _Registry]


class CountingTrigger(pgtrigger.Trigger):
    """A trigger that counts how often somebody asks for its name in PostgreSQL."""

    when = pgtrigger.Before
    operation = pgtrigger.Delete
    asked = 0

    def get_pgid(self, model: Any) -> str:
        CountingTrigger.asked += 1
        return super().get_pgid(model)


class SameFunctionTrigger(pgtrigger.Trigger):
    """A trigger whose function has the same name whatever the trigger's own name is."""

    when = pgtrigger.Before
    operation = pgtrigger.Delete

    def get_pgid(self, model: Any) -> str:
        return "pgtrigger_same_00000"


class UnnameableTrigger(CountingTrigger):
    """A trigger that has no name in PostgreSQL."""

    def get_pgid(self, model: Any) -> str:
        raise ValueError(f"no identifier for {self.name}")


def make_model(name: str, *, table: str | None = None) -> Any:
    meta = type("Meta", (), {"app_label": "shop", "apps": Apps(), "db_table": table or name})
    return type(name, (models.Model,), {"Meta": meta, "__module__": __name__})


def make_proxy(name: str, parent: Any) -> Any:
    meta = type("Meta", (), {"app_label": "shop", "apps": parent._meta.apps, "proxy": True})
    return type(name, (parent,), {"Meta": meta, "__module__": __name__})


def protect(name: str) -> pgtrigger.Trigger:
    return pgtrigger.Protect(name=name, operation=pgtrigger.Delete)


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registries]:
    """Put an empty registry of a class in the library's place, with Django still starting."""

    def start(registry_class: type[_Registry]) -> _Registry:
        empty = registry_class()
        monkeypatch.setattr(registry, "_registry", empty)
        return empty

    monkeypatch.setattr(apps, "ready", False)
    return start


# Refusals: each case is played against both registries.


def same_name_on_one_table() -> None:
    order = make_model("Order")
    protect("protect").register(order)
    protect("protect").register(order)


def same_name_through_a_proxy() -> None:
    order = make_model("Order")
    protect("protect").register(make_proxy("RushOrder", order))
    protect("protect").register(order)


def same_name_through_two_proxies() -> None:
    order = make_model("Order")
    protect("protect").register(make_proxy("RushOrder", order))
    protect("protect").register(make_proxy("SlowOrder", order))


def same_name_on_two_models_of_one_table() -> None:
    protect("protect").register(make_model("Order", table="shop_order"))
    protect("protect").register(make_model("OldOrder", table="shop_order"))


def function_name_in_use() -> None:
    SameFunctionTrigger(name="first").register(make_model("Order"))
    SameFunctionTrigger(name="second").register(make_model("Invoice"))


def both_name_and_function_in_use() -> None:
    order = make_model("Order")
    SameFunctionTrigger(name="first").register(order)
    SameFunctionTrigger(name="first").register(order)


def one_uri_whose_table_was_replaced() -> None:
    protect("protect").register(make_model("Order", table="one"))
    protect("protect").register(make_model("Order", table="two"))


def name_in_use_after_an_unregister() -> None:
    order, invoice = make_model("Order"), make_model("Invoice")
    dropped = protect("dropped")
    protect("protect").register(order)
    dropped.register(invoice)
    dropped.unregister(invoice)
    protect("protect").register(order)


def identifier_too_long() -> None:
    trigger = protect("x" * pgtrigger.core.MAX_NAME_LENGTH)
    trigger.name = "x" * 60
    trigger.register(make_model("Order"))


def own_identifier_fails() -> None:
    UnnameableTrigger(name="nameless").register(make_model("Order"))


def uri_of_another_trigger() -> None:
    registry._registry["shop.Order:other"] = (make_model("Order"), protect("protect"))


def uri_that_is_no_text() -> None:
    registry._registry[1] = (make_model("Order"), protect("protect"))


def unregister_what_is_not_there() -> None:
    protect("protect").unregister(make_model("Order"))


def ask_for_what_is_not_there() -> None:
    protect("protect").register(make_model("Order"))
    pgtrigger.registered("shop.Order:absent")


def ask_without_a_trigger_name() -> None:
    pgtrigger.registered("shop.Order")


REFUSALS = [
    (same_name_on_one_table, KeyError, "already used"),
    (same_name_through_a_proxy, KeyError, "already used"),
    (same_name_through_two_proxies, KeyError, "already used"),
    (same_name_on_two_models_of_one_table, KeyError, "already used"),
    (function_name_in_use, KeyError, "already in use"),
    (both_name_and_function_in_use, KeyError, "already used"),
    (one_uri_whose_table_was_replaced, KeyError, "already in use"),
    (name_in_use_after_an_unregister, KeyError, "already used"),
    (identifier_too_long, ValueError, "greater than 63 chars"),
    (own_identifier_fails, ValueError, "no identifier for nameless"),
    (uri_of_another_trigger, AssertionError, ""),
    (uri_that_is_no_text, AssertionError, ""),
    (unregister_what_is_not_there, KeyError, "not found in pgtrigger registry"),
    (ask_for_what_is_not_there, KeyError, "not found in pgtrigger registry"),
    (ask_without_a_trigger_name, ValueError, "must be in the format"),
]


@dataclass(frozen=True)
class Refusal:
    error: type[BaseException]
    text: str
    registered: list[str]


def refusal(play: Callable[[], None], live: _Registry) -> Refusal:
    with pytest.raises((KeyError, ValueError, AssertionError)) as caught:
        play()
    assert caught.value.__context__ is None, "the error drags another one along"
    return Refusal(caught.type, str(caught.value), list(live))


@pytest.mark.parametrize(
    ("play", "error", "words"), REFUSALS, ids=[play.__name__ for play, _, _ in REFUSALS]
)
def test_a_refusal_has_the_stock_error_and_leaves_the_same_registry(
    registries: Registries,
    play: Callable[[], None],
    error: type[BaseException],
    words: str,
) -> None:
    stock = refusal(play, registries(_Registry))
    ours = refusal(play, registries(FastRegistry))
    assert stock.error is error
    assert words in stock.text
    assert ours == stock


@pytest.mark.parametrize("registry_class", [_Registry, FastRegistry])
def test_a_trigger_may_be_registered_again_and_through_a_proxy(
    registries: Registries, registry_class: type[_Registry]
) -> None:
    live = registries(registry_class)
    order = make_model("Order")
    rush = make_proxy("RushOrder", order)
    trigger = protect("protect")
    for model in (order, order, rush, order, rush):
        trigger.register(model)
    assert list(live) == ["shop.Order:protect", "shop.RushOrder:protect"]
    assert order._meta.triggers == [trigger]
    assert order._meta.original_attrs["triggers"] == [trigger]


@pytest.mark.parametrize("registry_class", [_Registry, FastRegistry])
def test_an_unregistered_trigger_frees_its_names_and_leaves_meta(
    registries: Registries, registry_class: type[_Registry]
) -> None:
    live = registries(registry_class)
    order = make_model("Order")
    old, new = SameFunctionTrigger(name="protect"), SameFunctionTrigger(name="protect")
    old.register(order)
    old.unregister(order)
    assert not live
    assert order._meta.triggers == []
    assert order._meta.original_attrs["triggers"] == []
    new.register(order)
    assert live["shop.Order:protect"] == (order, new)
    assert order._meta.triggers == [new]


@pytest.mark.parametrize("registry_class", [_Registry, FastRegistry])
def test_a_table_renamed_between_two_registrations_is_no_error(
    registries: Registries, registry_class: type[_Registry]
) -> None:
    registries(registry_class)
    order, trigger = make_model("Order", table="before"), protect("protect")
    trigger.register(order)
    order._meta.db_table = "after"
    trigger.register(order)
    with pytest.raises(KeyError, match=r'model "shop\.Order" table "after"'):
        protect("protect").register(order)


def test_meta_is_left_alone_where_pgtrigger_has_no_migrations(
    registries: Registries, settings: Any
) -> None:
    settings.PGTRIGGER_MIGRATIONS = False
    live = registries(FastRegistry)
    order = make_model("Order")
    protect("protect").register(order)
    assert list(live) == ["shop.Order:protect"]
    assert not hasattr(order._meta, "triggers")


def test_the_indexes_are_what_the_library_would_compute(registries: Registries) -> None:
    live = registries(FastRegistry)
    order, invoice = make_model("Order"), make_model("Invoice")
    triggers = [protect(f"protect_{number}") for number in range(6)]
    for trigger in triggers:
        trigger.register(order, invoice)
        assert live.by_db_table == _Registry.by_db_table.fget(live)
        assert live.pg_function_names == _Registry.pg_function_names.fget(live)
    for trigger in triggers[::2]:
        trigger.unregister(order)
        assert live.by_db_table == _Registry.by_db_table.fget(live)
        assert live.pg_function_names == _Registry.pg_function_names.fget(live)


def names_asked_for(live: _Registry, count: int) -> int:
    """Register ``count`` triggers on ten models; return how often ``get_pgid`` ran."""
    assert not live
    tables = [make_model(f"Model{number}") for number in range(10)]
    CountingTrigger.asked = 0
    for number in range(count):
        CountingTrigger(name=f"trigger_{number}").register(tables[number % 10])
    assert len(live) == count
    return CountingTrigger.asked


def test_work_grows_with_the_number_of_triggers_not_with_its_square(
    registries: Registries,
) -> None:
    # One question when the trigger is checked, one when it is indexed.
    assert names_asked_for(registries(FastRegistry), 100) == 200
    assert names_asked_for(registries(FastRegistry), 400) == 800
    # The library's own registry, so that this test notices when it is no longer needed.
    assert names_asked_for(registries(_Registry), 100) == 100 + 100 * 99 // 2


def test_tables_are_not_walked_again_for_each_registration(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = 0

    def walk(self: _Registry) -> Any:
        nonlocal walks
        walks += 1
        return stock_walk(self)

    stock_walk = _Registry.by_db_table.fget
    monkeypatch.setattr(_Registry, "by_db_table", property(walk))
    names_asked_for(registries(FastRegistry), 100)
    assert walks == 1
    names_asked_for(registries(_Registry), 100)
    assert walks == 101


def test_after_start_up_a_patched_identifier_is_respected(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    registries(FastRegistry)
    order = make_model("Order")
    protect("first").register(order)
    monkeypatch.setattr(apps, "ready", True)
    monkeypatch.setattr(pgtrigger.Trigger, "get_pgid", lambda self, model: "duplicate")
    with pytest.raises(KeyError, match="already in use"):
        protect("second").register(order)


def test_after_start_up_every_table_is_computed_anew(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = registries(FastRegistry)
    order = make_model("Order")
    protect("first").register(order)
    monkeypatch.setattr(apps, "ready", True)
    assert live.by_db_table is not live.by_db_table
    assert live.pg_function_names is not live.pg_function_names
    order._meta.db_table = "renamed"
    assert set(live.by_db_table) == {("renamed", "first")}


@pytest.mark.parametrize("order_of_changes", ["register-last", "unregister-last"])
def test_a_second_start_up_sees_what_was_registered_in_between(
    registries: Registries, monkeypatch: pytest.MonkeyPatch, order_of_changes: str
) -> None:
    # Django's override_settings(INSTALLED_APPS=...) starts the apps once more.
    live = registries(FastRegistry)
    order = make_model("Order")
    first, second = protect("first"), protect("second")
    first.register(order)
    monkeypatch.setattr(apps, "ready", True)
    changes = [lambda: first.unregister(order), lambda: second.register(order)]
    for change in changes if order_of_changes == "register-last" else reversed(changes):
        change()
    monkeypatch.setattr(apps, "ready", False)
    assert set(live.by_db_table) == {("Order", "second")}
    assert live.pg_function_names == {second.get_pgid(order)}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("4.15.0", True),
        ("4.15.4", True),
        ("4.16", True),
        ("4.17.0", True),
        ("4.17.12.post1", True),
        ("4.14.9", False),
        ("4.9.2", False),
        ("4.18.0", False),
        ("4.18rc1", False),
        ("4.100.0", False),
        ("5.0", False),
        ("4", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_only_tested_versions_of_the_library_fit(version: str, expected: bool) -> None:
    assert fits(version) is expected


def test_a_stock_registry_keeps_its_identity_and_its_triggers(registries: Registries) -> None:
    live = registries(_Registry)
    order, trigger = make_model("Order"), protect("early")
    trigger.register(order)
    assert install_fast_registry()
    assert registry._registry is live
    assert type(live) is FastRegistry
    assert live["shop.Order:early"] == (order, trigger)
    with pytest.raises(KeyError, match="already used"):
        protect("early").register(order)
    assert install_fast_registry(), "a second call changes nothing"


def test_an_unknown_version_of_the_library_keeps_its_registry(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = registries(_Registry)
    monkeypatch.setattr(pgtrigger, "__version__", "4.18.0")
    assert not install_fast_registry()
    assert type(live) is _Registry


def test_the_setting_keeps_the_stock_registry(registries: Registries, settings: Any) -> None:
    live = registries(_Registry)
    settings.TRIGGER_OPS = {"FAST_REGISTRY": False}
    assert not install_fast_registry()
    assert type(live) is _Registry


def test_a_registry_that_somebody_else_replaced_is_left_alone(registries: Registries) -> None:
    class TheirRegistry(_Registry):
        pass

    live = registries(TheirRegistry)
    assert not install_fast_registry()
    assert type(live) is TheirRegistry


# Whole start-ups, each in a process of its own.

SHOP_MODELS = """
import pgtrigger
from django.apps import apps
from django.db import models
from pgtrigger import registry

CLASS_WHILE_LOADING = type(registry._registry).__name__
READY_WHILE_LOADING = apps.ready


def protect(name):
    return pgtrigger.Protect(name=name, operation=pgtrigger.Delete)


@pgtrigger.register(protect("by_decorator"))
class Order(models.Model):
    class Meta:
        triggers = [protect("by_meta")]


class RushOrder(Order):
    class Meta:
        proxy = True
        triggers = [protect("by_proxy")]
"""

START = """
import django
from django.conf import settings

settings.configure(INSTALLED_APPS={installed}, TRIGGER_OPS={options}, DATABASES={{}})
django.setup()

import pgtrigger
from pgtrigger import registry
from shop import models

print(models.CLASS_WHILE_LOADING, models.READY_WHILE_LOADING)
print(type(registry._registry).__name__)
print(*sorted(registry._registry))
pgtrigger.Trigger.get_pgid = lambda self, model: "duplicate"
try:
    models.protect("late").register(models.Order)
except KeyError as error:
    print(error.args[0])
"""

DUPLICATE_IN_READY = """
from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        from shop.models import Order, protect

        protect("by_meta").register(Order)
"""

OUTPUT = """\
{name} False
{name}
shop.Order:by_decorator shop.Order:by_meta shop.RushOrder:by_proxy
Trigger "late" on model "shop.Order" has Postgres function name that's already in use. \
Use a different name for the trigger.
"""


def start_project(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Run Python ``source`` in a new process that has a ``shop`` app in ``folder``."""
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "models.py").write_text(SHOP_MODELS)
    root = Path(trigger_ops.__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(root)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


BASE = ["django.contrib.contenttypes", "django.contrib.auth"]


@pytest.mark.parametrize(
    ("installed", "options", "name"),
    [
        pytest.param(["trigger_ops", "pgtrigger", "shop"], {}, "FastRegistry", id="before"),
        pytest.param(["shop", "trigger_ops", "pgtrigger"], {}, "FastRegistry", id="shop-first"),
        pytest.param(["pgtrigger", "trigger_ops", "shop"], {}, "FastRegistry", id="after"),
        pytest.param(["pgtrigger", "shop", "trigger_ops"], {}, "FastRegistry", id="last"),
        pytest.param(
            ["trigger_ops", "pgtrigger", "shop"],
            {"FAST_REGISTRY": False},
            "_Registry",
            id="setting-off",
        ),
        pytest.param(["pgtrigger", "shop"], {}, "_Registry", id="not-installed"),
    ],
)
def test_a_project_starts_with_all_its_triggers_and_then_runs_as_stock(
    tmp_path: Path, installed: list[str], options: dict[str, bool], name: str
) -> None:
    source = START.format(installed=BASE + installed, options=options)
    done = start_project(tmp_path, source)
    assert (done.stdout, done.stderr, done.returncode) == (OUTPUT.format(name=name), "", 0)


def test_an_untested_version_starts_with_the_stock_registry(tmp_path: Path) -> None:
    source = textwrap.dedent("""
        import pgtrigger
        pgtrigger.__version__ = "4.18.0"
    """) + START.format(installed=[*BASE, "trigger_ops", "pgtrigger", "shop"], options={})
    done = start_project(tmp_path, source)
    assert (done.stdout, done.stderr, done.returncode) == (OUTPUT.format(name="_Registry"), "", 0)


def test_a_duplicate_in_the_project_stops_its_start_with_the_stock_message(
    tmp_path: Path,
) -> None:
    (tmp_path / "shop_config.py").write_text(DUPLICATE_IN_READY)
    installed = [*BASE, "trigger_ops", "pgtrigger", "shop_config.ShopConfig"]
    done = start_project(tmp_path, START.format(installed=installed, options={}))
    assert done.returncode == 1
    assert "During handling of the above exception" not in done.stderr
    message = 'Trigger name "by_meta" already used for model "shop.Order" table "shop_order".'
    assert done.stderr.rstrip().endswith(f"KeyError: {message!r}")


def test_the_running_process_has_the_fast_registry_when_the_app_is_installed() -> None:
    expected = FastRegistry if startup.conf.fast_registry() else _Registry
    assert apps.is_installed("trigger_ops")
    assert type(registry._registry) is expected
