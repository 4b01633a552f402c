"""What can be done by hand to a live trigger, whichever it is: one act a facet."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.damage import run, within
from trigger_ops.catalog.snapshot import CatalogTrigger
from trigger_ops.registry.definition import INSERT

Damage = Callable[[CatalogTrigger], bool]
"""Damages a live trigger; False, with nothing done, where that cannot be done to this one."""

_WHEN = re.compile(r" WHEN \(.*\) EXECUTE FUNCTION ", re.DOTALL)
_EVENTS = re.compile(r"(BEFORE|AFTER|INSTEAD OF) (.*?) ON ", re.DOTALL)
_EXECUTED = re.compile(r"EXECUTE FUNCTION .*$", re.DOTALL)


def text_of(live: CatalogTrigger) -> str:
    """Return PostgreSQL's own statement that makes the trigger."""
    ((text,),) = run("SELECT pg_get_triggerdef(%s)", live.oid)
    return str(text)


def remake(live: CatalogTrigger, text: str) -> bool:
    """Make the trigger as another statement says, its comment kept."""
    on = {"trigger": live.name, "table": within(live.schema, live.table)}
    escaped = text.replace("{", "{{").replace("}", "}}")
    if live.is_constraint or "CONSTRAINT TRIGGER" in text:
        run("DROP TRIGGER {trigger} ON {table}", **on)
        run(escaped)
        run("COMMENT ON TRIGGER {trigger} ON {table} IS %s", live.comment, **on)
    else:
        run(escaped.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER"))
    return True


def body(live: CatalogTrigger) -> bool:
    if live.function != live.name:
        return False
    run(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS %s",
        " BEGIN RETURN NULL; -- $$ ' \\ %s {} \n END ",
        function=within(live.function_schema, live.function),
    )
    return True


def condition(live: CatalogTrigger) -> bool:
    if live.relkind == "v":
        return False
    text = _WHEN.sub(" EXECUTE FUNCTION ", text_of(live))
    return remake(live, text.replace(" EXECUTE FUNCTION ", " WHEN (1 > 2) EXECUTE FUNCTION "))


def timing(live: CatalogTrigger) -> bool:
    text = text_of(live)
    return " BEFORE " in text and remake(live, text.replace(" BEFORE ", " AFTER ", 1))


def events(live: CatalogTrigger) -> bool:
    text = _WHEN.sub(" EXECUTE FUNCTION ", text_of(live))
    if " REFERENCING " in text or live.type_bits & INSERT:
        return False
    return remake(live, _EVENTS.sub(r"\1 INSERT ON ", text, count=1))


def level(live: CatalogTrigger) -> bool:
    text = _WHEN.sub(" EXECUTE FUNCTION ", text_of(live))
    if live.is_constraint or live.relkind == "v" or " FOR EACH ROW " not in text:
        return False
    if live.clones:  # else they stay on the partitions, and nothing could bring that state back
        dropped(live)
    remake(live, text.replace(" FOR EACH ROW ", " FOR EACH STATEMENT "))
    return comment_of(live, live.comment)


def columns(live: CatalogTrigger) -> bool:
    text = text_of(live)
    if " REFERENCING " in text or live.relkind == "v":
        return False
    text = _WHEN.sub(" EXECUTE FUNCTION ", text)
    return remake(live, _EVENTS.sub(r"\1 UPDATE OF id ON ", text, count=1))


def arguments(live: CatalogTrigger) -> bool:
    if live.function != live.name:
        text = _EXECUTED.sub(
            "EXECUTE FUNCTION tsvector_update_trigger('search_vector', 'pg_catalog.simple', "
            "'title')",
            text_of(live),
        )
        return remake(live, text)
    return remake(live, text_of(live).removesuffix("()") + "('odd\"na''me; --', '\\', '')")


def deferral(live: CatalogTrigger) -> bool:
    text = text_of(live)
    if live.is_constraint:
        return remake(live, text.replace("INITIALLY DEFERRED", "INITIALLY IMMEDIATE"))
    if " FOR EACH ROW " not in text or " REFERENCING " in text or live.relkind != "r":
        return False
    text = text.replace("CREATE TRIGGER", "CREATE CONSTRAINT TRIGGER")
    text = text.replace(" BEFORE ", " AFTER ", 1)
    return remake(live, text.replace(" FOR EACH ", " DEFERRABLE INITIALLY DEFERRED FOR EACH ", 1))


def transition(live: CatalogTrigger) -> bool:
    text = text_of(live)
    if " REFERENCING " in text:
        return remake(live, re.sub(r" REFERENCING .* FOR EACH ", " FOR EACH ", text))
    if live.is_constraint or live.relkind != "r":
        return False
    text = _WHEN.sub(" EXECUTE FUNCTION ", text)
    text = _EVENTS.sub(r"AFTER UPDATE ON ", text, count=1)
    names = ' REFERENCING OLD TABLE AS "odd""name; --" NEW TABLE AS new_ones FOR EACH '
    return remake(live, text.replace(" FOR EACH ", names, 1))


def function(live: CatalogTrigger) -> bool:
    run(
        "CREATE OR REPLACE FUNCTION public.noop() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RETURN OLD; END'"
    )
    return remake(live, _EXECUTED.sub("EXECUTE FUNCTION public.noop()", text_of(live)))


def security(live: CatalogTrigger) -> bool:
    if live.function != live.name:
        return False
    on = within(live.function_schema, live.function)
    run("ALTER FUNCTION {function}() SECURITY DEFINER", function=on)
    run("ALTER FUNCTION {function}() SET work_mem = '1MB'", function=on)
    run('ALTER FUNCTION {function}() SET search_path = public, "odd""name; --"', function=on)
    run("ALTER FUNCTION {function}() IMMUTABLE", function=on)
    return True


def owner(live: CatalogTrigger) -> bool:
    if live.function != live.name:
        return False
    name = "planner_stranger"
    if not run("SELECT 1 FROM pg_roles WHERE rolname = %s", name):
        run("CREATE ROLE {role}", role=name)
    on = within(live.function_schema, live.function)
    run("ALTER FUNCTION {function}() OWNER TO {role}", function=on, role=name)
    return True


def moved(live: CatalogTrigger) -> bool:
    if live.function != live.name:
        return False
    run("CREATE SCHEMA IF NOT EXISTS {schema}", schema='odd"name; --')
    run(
        "ALTER FUNCTION {function}() SET SCHEMA {schema}",
        function=within(live.function_schema, live.function),
        schema='odd"name; --',
    )
    return True


def comment(live: CatalogTrigger) -> bool:
    return comment_of(live, None)


def comment_of(live: CatalogTrigger, text: str | None) -> bool:
    run(
        "COMMENT ON TRIGGER {trigger} ON {table} IS %s",
        text,
        trigger=live.name,
        table=within(live.schema, live.table),
    )
    return True


def another_comment(live: CatalogTrigger) -> bool:
    return comment_of(live, "it's \\ %s {} $$ ; --")


def dropped(live: CatalogTrigger) -> bool:
    run(
        "DROP TRIGGER {trigger} ON {table}",
        trigger=live.name,
        table=within(live.schema, live.table),
    )
    return True


def dropped_with_its_function(live: CatalogTrigger) -> bool:
    dropped(live)
    if live.function == live.name:
        run("DROP FUNCTION {function}()", function=within(live.function_schema, live.function))
    return True


def switched(mode: str) -> Damage:
    def act(live: CatalogTrigger) -> bool:
        if live.relkind == "v":
            return False
        run(
            f"ALTER TABLE {{table}} {mode} TRIGGER {{trigger}}",
            trigger=live.name,
            table=within(live.schema, live.table),
        )
        return True

    return act


def switched_one_by_one(live: CatalogTrigger) -> bool:
    """Give a partitioned table and each of its partitions another mode."""
    modes = ("ENABLE ALWAYS", "DISABLE", "ENABLE REPLICA", "ENABLE")
    if not live.clones:
        return switched("ENABLE REPLICA")(live)
    places = [(live.schema, live.table), *((one.schema, one.table) for one in live.clones)]
    for number, (schema, table) in enumerate(places):
        run(
            f"ALTER TABLE ONLY {{table}} {modes[number % 4]} TRIGGER {{trigger}}",
            trigger=live.name,
            table=within(schema, table),
        )
    return True


DAMAGES: dict[str, Damage] = {
    one.__name__: one
    for one in (
        body,
        condition,
        timing,
        events,
        level,
        columns,
        arguments,
        deferral,
        transition,
        function,
        security,
        owner,
        moved,
        comment,
        another_comment,
        dropped,
        dropped_with_its_function,
    )
}

MODES: dict[str, Damage] = {
    "disabled": switched("DISABLE"),
    "always": switched("ENABLE ALWAYS"),
    "replica": switched("ENABLE REPLICA"),
    "one by one": switched_one_by_one,
}
"""What an install has to keep as it is."""
