from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import uuid

import pytest

from tests.rendering.examples import PGID, RUN_ID, an_entry
from trigger_ops.ledger.entries import Entry
from trigger_ops.rendering import log

OTHER = uuid.UUID("87654321-1234-5678-1234-567812345678")
STARTED = an_entry(1, "started")
CREATED = an_entry(2)
FAILED = an_entry(
    3, uri="shop.Order:busy", outcome="failed", detail="lock timeout", took_ms=1234.5
)
FINISHED = an_entry(4, "finished", outcome="done", detail="1 created")
LATER = an_entry(9, "started", run=OTHER, verb="prune", reason="")

CREATED_LINE = (
    "  shop.Order:no_del (default public.shop_order), created, lock SHARE ROW EXCLUSIVE, 12.2 ms: "
    f'CREATE TRIGGER "{PGID}"'
)
HEADER = "2026-01-02 03:04:06Z install by os:ann@web1: release 7"
CUT = "  … (older entries are not shown)"


def test_text_is_a_block_a_run_newest_first_with_statements_in_order() -> None:
    assert log.as_text([LATER, FINISHED, FAILED, CREATED, STARTED]).splitlines() == [
        "2026-01-02 03:04:14Z prune by os:ann@web1 (unfinished)",
        f"{HEADER} (done: 1 created)",
        CREATED_LINE,
        (
            "  shop.Order:busy (default public.shop_order), failed: lock timeout, "
            f'lock SHARE ROW EXCLUSIVE, 1,234.5 ms: CREATE TRIGGER "{PGID}"'
        ),
    ]


LATE_HEADER = HEADER.replace(":06Z", ":07Z")


@pytest.mark.parametrize(
    ("entries", "filtered", "lines"),
    [
        ([CREATED], False, [f"{LATE_HEADER} (unfinished)", CUT, CREATED_LINE]),
        ([CREATED], True, [LATE_HEADER, CREATED_LINE]),
        ([FINISHED, CREATED], False, [f"{LATE_HEADER} (done: 1 created)", CUT, CREATED_LINE]),
        ([FINISHED, CREATED], True, [f"{LATE_HEADER} (done: 1 created)", CREATED_LINE]),
        ([STARTED], True, [HEADER]),
        ([an_entry(1, "finished", outcome="")], True, [HEADER]),
        ([], False, []),
    ],
    ids=range(7),
)
def test_a_run_is_called_unfinished_only_if_that_is_known(
    entries: list[Entry], filtered: bool, lines: list[str]
) -> None:
    assert log.as_text(entries, filtered=filtered).splitlines() == lines


def test_moments_are_told_in_utc() -> None:
    east = dt.timezone(dt.timedelta(hours=2))
    entry = an_entry(1, "started", at=dt.datetime(2026, 11, 22, 20, 3, 11, tzinfo=east))
    assert log.as_text([entry]).startswith("2026-11-22 18:03:11Z install")


def test_colour_adds_codes_and_nothing_else() -> None:
    painted = log.as_text([STARTED, CREATED], colour=True)
    assert "(\x1b[91munfinished\x1b[0m)" in painted
    assert re.sub(r"\x1b\[\d+m", "", painted) == log.as_text([STARTED, CREATED])


@pytest.mark.parametrize("field", ["actor", "reason", "uri", "table", "sql", "detail"])
def test_no_text_of_the_ledger_can_fake_a_line(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    entry = an_entry(1, **{field: "a\x1b[2J\x07b"})
    for text in (log.as_text([entry]), log.as_table([entry], colour=False), log.as_csv([entry])):
        if field != "reason" or not text.startswith("┏"):  # the table has no reasons
            assert r"a\x1b[2J\x07b" in text
        assert "\x1b" not in text
    assert "a\n" not in log.as_text([an_entry(1, **{field: "a\nb"})])


def test_a_table_has_a_row_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    lines = log.as_table([FINISHED, CREATED], colour=False).splitlines()
    cells = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in lines]
    assert cells[1] == ["AT", "RUN", "VERB", "ACTOR", "URI", "PLACE", "MS", "OUTCOME", "SQL"]
    assert cells[3] == [
        "2026-01-02 03:04:09Z",
        "12345678",
        "install finished",
        "os:ann@web1",
        "",
        "",
        "12.2",
        "done: 1 created",
        "",
    ]
    assert cells[4][2:8] == [
        "install",
        "os:ann@web1",
        "shop.Order:no_del",
        "default public.shop_order",
        "12.2",
        "created",
    ]
    assert log.as_table([], colour=True) == ""


def test_csv_has_every_field() -> None:
    (row,) = csv.DictReader(io.StringIO(log.as_csv([CREATED])))
    assert tuple(row) == log.FIELDS
    assert row["run"] == str(RUN_ID)
    assert row["at"] == "2026-01-02T03:04:07+00:00"
    assert json.loads(row["after"]) == {"status": "INSTALLED"}
    assert log.as_csv([]).count("\n") == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_csv_cell_starts_a_formula(start: str) -> None:
    text = log.as_csv([an_entry(1, reason=f"{start}cmd|' /C calc'!A0")])
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["reason"] == f"'{start}cmd|' /C calc'!A0"


def test_the_document_has_every_field_as_it_is() -> None:
    document = log.document([FAILED])
    assert document == json.loads(json.dumps(document))
    assert (document["schema"], document["exit_code"]) == ("trigger_ops.log/1", 0)
    (entry,) = document["entries"]
    assert tuple(entry) == log.FIELDS
    assert entry["id"] == 3
    assert entry["run"] == str(RUN_ID)
    assert entry["took_ms"] == 1234.5
    assert entry["after"] == {"status": "INSTALLED"}
    assert entry["detail"] == "lock timeout"
    assert log.document([], 3) == {"schema": "trigger_ops.log/1", "exit_code": 3, "entries": []}
