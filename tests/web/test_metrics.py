"""The view of the metrics: who may see it, what it says when something is wrong, what it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse

from demo_site.past import damage as past
from tests.damage import run
from tests.metrics.reading import read
from tests.weaknesses.conftest import default_at
from trigger_ops import api
from trigger_ops.metrics import CONTENT_TYPE
from trigger_ops.models import DriftTarget, LedgerEntry, Notice
from trigger_ops.web import metrics as view

urlpatterns = [path("trigger_ops/", include("trigger_ops.urls"))]

pytestmark = [
    pytest.mark.django_db(databases=["default", "archive"]),
    pytest.mark.urls("tests.web.test_metrics"),
]

TOKEN = "a long and ünguessable token"
URL = "/trigger_ops/metrics"


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    view.forget()


@pytest.fixture
def token(settings: Any) -> str:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "METRICS_TOKEN": TOKEN}
    return TOKEN


def get(client: Client, sent: str | None = None, *, method: str = "get") -> HttpResponse:
    """Ask for the metrics, with this header, as a server decodes it."""
    headers = {} if sent is None else {"HTTP_AUTHORIZATION": sent.encode().decode("latin-1")}
    response: HttpResponse = getattr(client, method)(URL, **headers)
    return response


def refused(response: HttpResponse, status: int) -> str:
    """Return the one sentence of a refusal."""
    assert response.status_code == status
    text = response.content.decode()
    assert text.count("\n") == 1
    assert text.endswith(".\n")
    assert "Traceback" not in text
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Cache-Control"] == "no-store"
    assert response.has_header("WWW-Authenticate") == (status == 401)
    return text


@pytest.fixture
def person(client: Client) -> Callable[..., Client]:
    """Return a function that logs somebody in."""

    def log_in(*, may: bool = False, **options: Any) -> Client:
        user = User.objects.create_user("ann", password="x", **options)
        if may:
            kind = ContentType.objects.get_for_model(LedgerEntry)
            user.user_permissions.add(
                Permission.objects.get_or_create(
                    codename="view_trigger", content_type=kind, defaults={"name": "view"}
                )[0]
            )
        client.force_login(user)
        return client

    return log_in


# What it says -------------------------------------------------------------------------------------


def test_it_has_a_name_for_templates_and_settings() -> None:
    assert reverse("trigger_ops:metrics") == URL


@pytest.mark.parametrize("spelled", ["Bearer {}", "bearer {}", "BEARER  {} "])
def test_a_server_with_the_token_gets_what_was_recorded(
    spelled: str, token: str, client: Client
) -> None:
    past.gut()
    api.check(databases=["default"], record=True)
    response = get(client, spelled.format(token))
    assert response.status_code == 200
    assert response["Content-Type"] == CONTENT_TYPE
    assert response["Cache-Control"] == "no-store"
    found = read(response.content.decode())
    assert found["trigger_ops_findings_by_level"]["default", "CRITICAL"] == 1
    assert found["trigger_ops_check_complete"] == {(): 1}


def test_head_has_no_body(token: str, client: Client) -> None:
    response = get(client, f"Bearer {token}", method="head")
    assert (response.status_code, response.content) == (200, b"")
    assert response["Content-Type"] == CONTENT_TYPE


def test_for_some_seconds_a_process_repeats_itself(
    token: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = get(client, f"Bearer {token}").content
    api.check(databases=["default"], record=True)
    with CaptureQueriesContext(connection) as queries:
        assert get(client, f"Bearer {token}").content == first
    assert not queries.captured_queries
    later = time.monotonic() + view.CACHE_SECONDS
    monkeypatch.setattr(view.time, "monotonic", lambda: later)
    assert get(client, f"Bearer {token}").content != first


def test_it_looks_at_no_trigger_and_writes_nothing(token: str, client: Client) -> None:
    api.check(databases=["default"], record=True)
    before = DriftTarget.objects.count(), Notice.objects.count()
    with CaptureQueriesContext(connection) as queries:
        assert get(client, f"Bearer {token}").status_code == 200
    sent = " ".join(one["sql"] for one in queries.captured_queries).lower()
    assert "trigger_ops_driftrun" in sent
    for word in ("pg_trigger", "insert into", "update ", "delete from"):
        assert word not in sent
    assert (DriftTarget.objects.count(), Notice.objects.count()) == before
    assert not client.cookies


# Who may see it -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \N{PILE OF POO}",
    ],
)
def test_another_token_is_refused(sent: str, token: str, client: Client) -> None:
    sentence = refused(get(client, sent), 401)
    assert 'TRIGGER_OPS["METRICS_TOKEN"]' in sentence
    assert TOKEN not in sentence


def test_without_a_token_a_server_is_told_what_to_send(token: str, client: Client) -> None:
    assert "Authorization: Bearer" in refused(get(client), 401)


@pytest.mark.parametrize("setting", ["", "  "])
def test_an_empty_token_lets_nobody_in(setting: str, client: Client, settings: Any) -> None:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "METRICS_TOKEN": setting}
    for sent in (None, "Bearer", "Bearer ", "Bearer   ", "bearer x"):
        assert "Log in as staff" in refused(get(client, sent), 403)


@pytest.mark.parametrize(
    ("options", "admitted"),
    [
        ({"is_superuser": True, "is_staff": True}, True),
        ({"is_staff": True, "may": True}, True),
        ({"is_staff": True}, False),
        ({"may": True}, False),
        ({"is_superuser": True}, False),
    ],
)
@pytest.mark.parametrize("with_token", [True, False])
def test_staff_may_see_it_who_may_view_triggers(
    options: dict[str, Any],
    admitted: bool,
    with_token: bool,
    person: Callable[..., Client],
    settings: Any,
) -> None:
    if with_token:
        settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "METRICS_TOKEN": TOKEN}
    response = get(person(**options))
    if admitted:
        assert response.status_code == 200
    else:
        assert "trigger_ops.view_trigger" in refused(response, 403)


def test_somebody_who_left_may_not(person: Callable[..., Client]) -> None:
    refused(get(person(is_staff=True, is_superuser=True, is_active=False)), 403)


def test_a_wrong_token_is_wrong_whoever_sends_it(
    token: str, person: Callable[..., Client]
) -> None:
    refused(get(person(is_staff=True, is_superuser=True), "Bearer wrong"), 401)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_nothing_but_reading_is_allowed(method: str, token: str, client: Client) -> None:
    response = get(client, f"Bearer {token}", method=method)
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"


def test_a_site_where_everybody_has_to_log_in_still_takes_the_token(
    token: str, client: Client, settings: Any
) -> None:
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert get(client, f"Bearer {token}").status_code == 200
    refused(get(client), 401)


def test_a_site_without_users_takes_the_token_alone(
    token: str, client: Client, settings: Any
) -> None:
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if "auth" not in one.lower()]
    assert get(client, f"Bearer {token}").status_code == 200
    refused(get(client), 401)


# What may be wrong --------------------------------------------------------------------------------


def test_tables_that_were_never_made_are_one_sentence(token: str, client: Client) -> None:
    run("ALTER TABLE trigger_ops_driftrun RENAME TO hidden")
    assert "run manage.py migrate trigger_ops" in refused(get(client, f"Bearer {token}"), 503)


@pytest.mark.parametrize("value", [b"s3cret", None, 3, ["s3cret"]])
def test_a_bad_setting_is_not_repeated_to_strangers(
    value: object, client: Client, settings: Any
) -> None:
    settings.TRIGGER_OPS = {"METRICS_TOKEN": value}
    sentence = refused(get(client, "Bearer s3cret"), 503)
    assert sentence == 'TRIGGER_OPS["METRICS_TOKEN"] must be a text.\n'


def test_a_recording_database_that_is_no_postgresql_is_one_sentence(
    token: str, client: Client, settings: Any
) -> None:
    settings.TRIGGER_OPS = {**settings.TRIGGER_OPS, "RECORD_DATABASE": "lite"}
    assert "not PostgreSQL" in refused(get(client, f"Bearer {token}"), 503)


@pytest.mark.parametrize("atomic", [True, False])
def test_a_database_that_is_down_is_one_sentence(atomic: bool, token: str, settings: Any) -> None:
    with default_at(PORT="1", ATOMIC_REQUESTS=atomic):
        by_token = Client(raise_request_exception=False)
        assert '"default" cannot be recorded in' in refused(get(by_token, f"Bearer {token}"), 503)
        assert "try again" in refused(
            Client(raise_request_exception=False).get(URL, HTTP_COOKIE=f"sessionid={32 * 'a'}"),
            503,
        )


def test_a_failure_is_not_kept(token: str, client: Client) -> None:
    run("ALTER TABLE trigger_ops_driftrun RENAME TO hidden")
    refused(get(client, f"Bearer {token}"), 503)
    run("ALTER TABLE hidden RENAME TO trigger_ops_driftrun")
    assert get(client, f"Bearer {token}").status_code == 200
