from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rendering.examples import STARTED, a_plan, a_statement, a_step
from trigger_ops.durations import LONGEST
from trigger_ops.exceptions import Refused, StalePlan
from trigger_ops.inspection import Scope
from trigger_ops.planner import Plan, Request, ServerIdentity, files
from trigger_ops.planner.documents import checksum
from trigger_ops.states import Enabled, ExitCode, Hazard, Lock, Verb

NOW = STARTED + dt.timedelta(minutes=10)
HOSTILE = 'odd"name; --\n\x1b[2J\u202e'

RICH = a_plan(
    a_step(
        a_statement(),
        a_statement(sql="COMMENT", lock=Lock.NONE, hazards=(Hazard.DROPS_FOREIGN,)),
    ),
    a_step(uri="shop.Order:leased", opens_lease=Enabled.ALWAYS),
    a_step(a_statement(undo=""), uri=HOSTILE, table=HOSTILE, path=("tenant", "public")),
    a_step(uri="shop.Order:fine"),
    hazards={Hazard.DROPS_FOREIGN: "It would drop one."},
    warnings=("Nothing is pruned.",),
    asked=True,
)

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
tuples = st.lists(names, max_size=3).map(tuple)
lengths = st.timedeltas(min_value=dt.timedelta(milliseconds=1), max_value=LONGEST)
requests = st.builds(
    Request,
    verb=st.sampled_from(Verb),
    databases=tuples,
    selectors=tuples,
    named=tuples,
    scope=st.builds(Scope, path=st.none() | tuples, glob=st.none() | names),
    mode=st.none()
    | st.sampled_from([Enabled.ENABLED, Enabled.DISABLED, Enabled.REPLICA, Enabled.ALWAYS]),
    lasts=st.none() | lengths,
    expired=st.booleans(),
    functions=st.booleans(),
    lock_timeout=lengths,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def written(plan: Plan = RICH) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files.text(plan))
    return found


def signed(document: dict[str, Any]) -> str:
    """Return a file that somebody edited with care: its checksum is right."""
    return json.dumps(document | {"checksum": checksum(document)})


def edit(document: dict[str, Any], way: tuple[Any, ...], value: Any) -> None:
    where: Any = document
    for step in way[:-1]:
        where = where[step]
    where[way[-1]] = value


def refused(plan: Plan, *, verb: Verb = Verb.INSTALL, now: dt.datetime = NOW) -> str | None:
    """Return what becomes of the file of RICH where its request now gives ``plan``."""
    return files.refusal(files.read(files.text(RICH)), plan, verb=verb, now=now)


def test_the_document_is_the_contract_s() -> None:
    document = files.document(RICH)
    assert list(document) == [
        "schema",
        "verb",
        "created",
        "expires",
        "server",
        "fingerprint",
        "exit_code",
        "statements",
        "leases",
        "hazards",
        "obstacles",
        "warnings",
        "request",
        "checksum",
    ]
    assert document["schema"] == "trigger_ops.plan/1"
    assert document["verb"] == "install"
    assert document["created"] == "2026-01-02T03:04:05+00:00"
    assert document["expires"] == "2026-01-02T04:04:05+00:00"
    assert document["server"] == {
        "default": {"database": "shop", "version": 180001, "identifier": "74"}
    }
    assert document["exit_code"] == 1
    assert document["statements"][0] == {
        "sql": a_statement().sql,
        "database": "default",
        "schema": "public",
        "table": "shop_order",
        "uri": "shop.Order:no_del",
        "lock": "SHARE ROW EXCLUSIVE",
        "timeout": "250ms",
        "hazards": [],
        "undo": a_statement().undo,
        "reason": "the trigger is missing",
        "trigger": "pgtrigger_no_del_133cc",
        "path": None,
    }
    assert document["leases"] == [
        {
            "uri": "shop.Order:leased",
            "database": "default",
            "schema": "public",
            "table": "shop_order",
            "trigger": "pgtrigger_no_del_133cc",
            "opens": "ALWAYS",
            "ends": False,
        }
    ]
    assert document["hazards"] == {"DROPS_FOREIGN": "It would drop one."}


def test_a_plan_that_cannot_be_carried_out_says_so_by_its_exit_code() -> None:
    document = files.document(a_plan(obstacles=("The server is read-only.",)))
    assert document["exit_code"] == ExitCode.REFUSED
    assert document["obstacles"] == ["The server is read-only."]


def test_a_file_is_ascii_and_ends_with_a_line_break() -> None:
    text = files.text(RICH)
    assert text.isascii()
    assert text.endswith("}\n")


@given(requests)
def test_a_request_reads_back_as_it_was(request: Request) -> None:
    assert files.read(files.text(a_plan(request=request))).request == request


def test_a_file_reads_back_as_it_was() -> None:
    file = files.read(files.text(RICH))
    assert (file.created, file.expires) == (RICH.created, RICH.expires)
    assert (file.servers, file.fingerprint) == (RICH.servers, RICH.fingerprint)
    assert [one["sql"] for one in file.statements] == [one.sql for _, one in RICH.statements]
    assert file.hazards == {"DROPS_FOREIGN": "It would drop one."}


NO_PLANS = [
    ("", "is not JSON"),
    ("{", "is not JSON"),
    ("\ufeff{}", "is not JSON"),
    ("9" * 5_000, "is not JSON"),
    ("[" * 200_000, "nested too deeply"),
    ('{"a":' * 200_000, "nested too deeply"),
    (" " * (files.LARGEST + 1), "larger than 50,000,000 characters"),
    ("[]", "no JSON object"),
    ("null", "no JSON object"),
    ('{"schema": NaN}', "NaN, which is no number"),
    ('{"schema": -Infinity}', "-Infinity, which is no number"),
    ('{"schema": 1e999}', 'no "schema"'),
    ('{"verb": 1, "verb": 1}', 'says "verb" twice'),
    ('{"\\u001b[2J": 1, "\\u001b[2J": 1}', r'says "\x1b[2J" twice'),
    ("{}", 'no "schema"'),
    ('{"schema": "trigger_ops.plan/2"}', '"trigger_ops.plan/2", and only trigger_ops.plan/1'),
    ('{"schema": "' + "x" * 500 + '"}', "x…"),
    ('{"schema": "trigger_ops.plan/1"}', 'no "checksum"'),
    ('{"schema": "trigger_ops.plan/1", "checksum": "", "x": 1e999}', "is not JSON"),
]


@pytest.mark.parametrize(("text", "words"), NO_PLANS, ids=range(len(NO_PLANS)))
def test_what_is_no_plan_file_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(StalePlan) as raised:
        files.read(text)
    sentence = str(raised.value)
    assert words in sentence
    assert sentence.endswith(
        "Make a new one with the command that wrote it (--dry-run --out FILE)."
    )
    assert sentence.isprintable()
    assert len(sentence) < 300
    assert isinstance(raised.value, Refused)


EDITS: list[tuple[tuple[Any, ...], Any, str]] = [
    (("verb",), "migrate", "two verbs"),
    (("verb",), "prune", "two verbs"),
    (("request", "verb"), "migrate", '"migrate" for "verb"'),
    (("request",), None, 'no "request"'),
    (("request", "databases"), "default", 'no "databases"'),
    (("request", "databases"), [1], 'no "databases"'),
    (("request", "selectors"), ["nul\x00"], 'no "selectors"'),
    (("request", "named"), ["half\ud800"], 'no "named"'),
    (("request", "path"), [None], 'no "path"'),
    (("request", "glob"), 3, 'no "glob"'),
    (("request", "glob"), "\x00", r'"\x00" for "glob"'),
    (("request", "mode"), "PARTIAL", '"PARTIAL" for "mode"'),
    (("request", "mode"), "SOMETIMES", '"SOMETIMES" for "mode"'),
    (("request", "lasts"), "soon", '"soon" for "lasts"'),
    (("request", "lasts"), "-PT5M", '"-PT5M" for "lasts"'),
    (("request", "lasts"), "P" + "9" * 400 + "D", 'for "lasts"'),
    (("request", "lock_timeout"), "PT0S", '"PT0S" for "lock_timeout"'),
    (("request", "lock_timeout"), None, 'no "lock_timeout"'),
    (("request", "expired"), 1, 'no "expired"'),
    (("created",), "yesterday", '"yesterday" for "created"'),
    (("expires",), "2026-01-02T03:04:05", 'for "expires"'),
    (("expires",), 5, 'no "expires"'),
    (("server",), [], 'no "server"'),
    (("server", "default", "version"), True, 'no "version"'),
    (("server", "default", "identifier"), 74, 'no "identifier"'),
    (("fingerprint",), None, 'no "fingerprint"'),
    (("statements",), {}, 'no "statements"'),
    (("statements",), ["DROP TABLE x"], 'no "statements"'),
    (("statements", 0, "uri"), None, 'no "uri"'),
    (("leases",), [1], 'no "leases"'),
    (("hazards", "DROPS_FOREIGN"), 1, 'no "DROPS_FOREIGN"'),
    (("obstacles",), "none", 'no "obstacles"'),
]


@pytest.mark.parametrize(("way", "value", "words"), EDITS, ids=range(len(EDITS)))
def test_a_file_edited_with_care_is_refused_for_what_does_not_fit(
    way: tuple[Any, ...], value: Any, words: str
) -> None:
    document = written()
    edit(document, way, value)
    with pytest.raises(StalePlan) as raised:
        files.read(signed(document))
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "key", [key for key in files.document(RICH) if key not in ("exit_code", "warnings")]
)
def test_no_key_that_is_read_may_be_missing(key: str) -> None:
    document = written()
    del document[key]
    text = json.dumps(document) if key == "checksum" else signed(document)
    with pytest.raises(StalePlan, match=f'no "{key}"'):
        files.read(text)


@pytest.mark.parametrize("key", files.document(RICH)["request"])
def test_no_part_of_a_request_may_be_missing(key: str) -> None:
    document = written()
    del document["request"][key]
    with pytest.raises(StalePlan, match=f'no "{key}"'):
        files.read(signed(document))


def _places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value of a document."""
    if isinstance(value, dict):
        inner = [place for key, one in value.items() for place in _places(one, (*way, key))]
    elif isinstance(value, list):
        inner = [place for key, one in enumerate(value) for place in _places(one, (*way, key))]
    else:
        inner = []
    return [way, *inner] if way else inner


@given(st.sampled_from(_places(files.document(RICH))), json_values)
def test_any_value_that_was_edited_is_refused(way: tuple[Any, ...], value: Any) -> None:
    document = written()
    edit(document, way, value)
    if json.dumps(document, sort_keys=True) == json.dumps(written(), sort_keys=True):
        return
    with pytest.raises(StalePlan):
        files.read(json.dumps(document))


@given(st.sampled_from(_places(files.document(RICH))), json_values)
def test_a_careful_edit_raises_nothing_but_stale_plan(way: tuple[Any, ...], value: Any) -> None:
    document = written()
    edit(document, way, value)
    try:
        text = signed(document)
    except ValueError:  # NaN and infinity have no checksum
        return
    try:
        file = files.read(text)
    except StalePlan:
        return
    # What can be read at all is then compared with what would be done.
    answer = files.refusal(file, RICH, verb=Verb.INSTALL, now=NOW)
    assert answer is None or answer.isprintable()


@given(st.text() | json_values.map(json.dumps))
def test_any_text_raises_nothing_but_stale_plan(text: str) -> None:
    with pytest.raises(StalePlan):
        files.read(text)


def test_what_is_planned_alike_is_not_refused() -> None:
    later = dataclasses.replace(
        RICH, created=NOW, expires=NOW + dt.timedelta(hours=1), warnings=("another",), asked=False
    )
    assert refused(later) is None


STEPS = RICH.steps
OTHER = ServerIdentity(alias="default", database="shop", version=180001, identifier="75")
SECOND = ServerIdentity(alias="other", database="b\x1b", version=180001, identifier="74")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"servers": (OTHER,)},
            (
                'The plan is for other databases: "default" was "shop" (version 180001, cluster "74"),'
                ' and is "shop" (version 180001, cluster "75").'
            ),
        ),
        (
            {"servers": (*RICH.servers, SECOND)},
            (
                'The plan is for other databases: "other" was no part of it, and is '
                r'"b\x1b" (version 180001, cluster "74").'
            ),
        ),
        (
            {"servers": ()},
            (
                'The plan is for other databases: "default" was "shop" (version 180001, cluster "74"),'
                " and is no part of it."
            ),
        ),
        (
            {"request": dataclasses.replace(RICH.request, selectors=("shop",))},
            "The plan was made for another request than this one.",
        ),
        (
            {"steps": (a_step(a_statement(sql="x"), *STEPS[0].statements[1:]), *STEPS[1:])},
            'The statements would be others now: 1 of 3 differ, first for "shop.Order:no_del".',
        ),
        (
            {"steps": STEPS[1:]},
            (
                "The statements would be others now: 2 of 3 differ, first for "
                r'"odd"name; --\n\x1b[2J\u202e".'
            ),
        ),
        (
            {"steps": (STEPS[2], STEPS[0], STEPS[1])},
            (
                "The statements would be run in another order now, from "
                r'"odd"name; --\n\x1b[2J\u202e" on.'
            ),
        ),
        ({"steps": ()}, "Nothing that the plan says is left to be done."),
        (
            {"fingerprint": "e" * 64},
            "A planned trigger, its table or the ignore function changed since it was planned.",
        ),
        (
            {"steps": (STEPS[0], STEPS[2])},
            "The leases that would be opened or ended are not those of the plan.",
        ),
        (
            {"hazards": {}},
            "The side effects to be allowed are not those of the plan; now there are: none.",
        ),
        (
            {"obstacles": ("It is read-only",)},
            'What stands in the way is not what the plan says: "It is read-only".',
        ),
    ],
)
def test_what_would_be_done_otherwise_is_refused(changes: dict[str, Any], sentence: str) -> None:
    again = " Make a new one with manage.py pgtrigger install --dry-run --out FILE."
    assert refused(dataclasses.replace(RICH, **changes)) == sentence + again


@pytest.mark.parametrize(
    ("key", "value", "heeding"),
    [
        ("selectors", ["shop.Order:no_del"], {"install", "uninstall", "enable", "disable"}),
        ("named", ["shop_order:x"], {"prune"}),
        ("path", ["tenant"], {"install", "uninstall", "enable", "disable", "prune"}),
        ("glob", "*", {"install", "uninstall", "enable", "disable", "prune"}),
        ("mode", "ALWAYS", {"enable"}),
        ("lasts", "PT5M", {"disable"}),
        ("expired", True, {"enable"}),
        ("functions", True, {"prune"}),
    ],
)
@pytest.mark.parametrize("verb", Verb)
def test_what_a_verb_takes_no_account_of_is_no_part_of_its_file(
    key: str, value: Any, heeding: set[str], verb: Verb
) -> None:
    plan = dataclasses.replace(RICH, request=dataclasses.replace(RICH.request, verb=verb))
    document = written(plan)
    edit(document, ("request", key), value)
    file = files.read(signed(document))
    fresh = dataclasses.replace(plan, request=file.request)
    answer = files.refusal(file, fresh, verb=verb, now=NOW)
    if verb.value in heeding:
        assert answer is None
    else:
        assert answer is not None
        assert answer.startswith(
            f"The plan file asks for {key}, of which {verb.value} takes no account. Make a new"
        )


def test_a_path_that_differs_is_another_statement() -> None:
    moved = dataclasses.replace(STEPS[2], path=("public", "tenant"))
    assert "1 of 3 differ" in str(refused(a_plan(*STEPS[:2], moved, hazards=RICH.hazards)))


def test_a_plan_of_another_verb_names_its_own_command() -> None:
    assert refused(RICH, verb=Verb.ENABLE) == (
        "The plan is one of install: carry it out with pgtrigger install --plan FILE."
    )


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (RICH.expires, "expired at 2026-01-02 04:04:05+00:00"),
        (RICH.expires - dt.timedelta(seconds=1), None),
        (RICH.created - dt.timedelta(minutes=4), None),
        (RICH.created - dt.timedelta(minutes=6), "a clock is wrong"),
    ],
)
def test_a_plan_is_good_for_its_time_alone(now: dt.datetime, words: str | None) -> None:
    sentence = refused(RICH, now=now)
    assert sentence is None if words is None else words in str(sentence)
