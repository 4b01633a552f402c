"""The schedules of docs/scheduling: their syntax, and what they make of each exit code."""

from __future__ import annotations

import configparser
import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.recipes import DOCS, ROOT, Done, Shop, shop

__all__ = ["shop"]

FOLDER = DOCS / "scheduling"
SCRIPT = FOLDER / "trigger-ops-check.sh"
WHERE = "/srv/shop/bin/trigger-ops-check.sh"
MINUTES = 5
CLEAN = "as registered"


# The script: what every schedule calls ------------------------------------------------------------


def check(shop: Shop, **environment: str) -> Done:
    done = shop.run(SCRIPT, **environment)
    assert bool(done.err) == (done.code != 0), "stderr says that somebody has to look"
    if done.code and environment.get("PROJECT") is None:
        assert f"The check of the triggers is out of order ({done.code}).\n" in done.err
    return done


def codes(shop: Shop, **environment: str) -> int:
    """Return what the check itself exits with."""
    return shop.run("python", "manage.py", "pgtrigger", "check", "--record", **environment).code


def test_a_clean_check_is_in_order(shop: Shop) -> None:
    before = shop.runs()
    done = check(shop)
    assert done.code == 0
    assert shop.runs() == before + 1
    assert "Nothing at WARNING or above" in done.out or CLEAN in done.out


def test_findings_are_told_by_others(shop: Shop) -> None:
    with shop.gutted():
        assert codes(shop) == 1
        done = check(shop)
        assert done.code == 0
        assert "CRITICAL trigger_ops.C001 past.Invoice:protect_deletes" in done.out
        assert shop.execute(
            "SELECT code FROM trigger_ops_driftfinding WHERE level = 'CRITICAL' "
            "AND resolved IS NULL"
        ) == [("trigger_ops.C001",)]


def test_checks_some_seconds_apart_are_a_run_each_and_tell_each_change_once(shop: Shop) -> None:
    """As those of two machines that have the same timer: it spreads them on purpose."""
    assert codes(shop) == 0
    ((since,),) = shop.execute("SELECT clock_timestamp()")
    before = shop.runs()
    with shop.gutted():
        assert [codes(shop) for _ in range(2)] == [1, 1]
    assert codes(shop) == 0
    assert shop.runs() == before + 3
    events = shop.execute(
        "SELECT kind FROM trigger_ops_findingevent WHERE at > %s ORDER BY at", since
    )
    assert events == [("opened",), ("resolved",)]


def open_schemas(shop: Shop) -> list[str]:
    """Return the schemas in which bodies are open to be other than the code says."""
    rows = shop.execute(
        "SELECT schemas::text FROM trigger_ops_driftfinding "
        "WHERE code = 'trigger_ops.C001' AND resolved IS NULL"
    )
    return [schema for (text,) in rows for schema in json.loads(text)]


def test_a_tenants_trigger_is_looked_at_where_the_arguments_say_so(shop: Shop) -> None:
    with shop.tenant("tenant_7"):
        assert check(shop).code == 0
        assert open_schemas(shop) == []
        assert check(shop, ARGUMENTS="--schema-glob ten*_7").code == 0
        assert open_schemas(shop) == ["tenant_7"]
    # The recipe looks everywhere, and so sees that it is gone.
    assert run_job(shop, 0).code == 0
    assert open_schemas(shop) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", []),
        ("   ", []),
        ("--schema-glob tenant_*", ["--schema-glob", "tenant_*"]),
        (" --all-schemas\t--fail-level  error\n", ["--all-schemas", "--fail-level", "error"]),
        ("* docs/*", ["*", "docs/*"]),
        ("'a b' $(id) `id` ;id >x", ["'a", "b'", "$(id)", "`id`", ";id", ">x"]),
        ("$HOME ~ \\", ["$HOME", "~", "\\"]),
    ],
)
def test_arguments_are_words_and_nothing_is_made_of_them(
    arguments: str, words: list[str], shop: Shop, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    done = shop.run(SCRIPT, PYTHON=str(python), ARGUMENTS=arguments)
    assert done.code == 0
    given = ["manage.py", "pgtrigger", "check", "--record", "--notify", *words]
    assert done.out.splitlines() == given


@pytest.mark.parametrize(("damaged", "code"), [(False, 3), (True, 1)])
def test_a_database_that_is_away_for_a_moment_is_in_order_and_for_long_is_not(
    damaged: bool, code: int, shop: Shop
) -> None:
    check(shop)
    with shop.gutted() if damaged else contextlib.nullcontext(), shop.without_archive():
        assert codes(shop) == code
        now = check(shop)
        assert now.code == 0
        assert "archive" in now.out
        # Findings of other databases do not hide it.
        late = check(shop, MAX_AGE="1ms")
        assert late.code == 3
        assert "The last complete run" in late.err
        assert "archive" in late.err


def test_without_any_complete_run_it_is_out_of_order(shop: Shop) -> None:
    shop.execute("UPDATE trigger_ops_driftrun SET complete = false")
    shop.execute("UPDATE trigger_ops_drifttarget SET state = 'unreachable'")
    with shop.without_archive():
        done = check(shop)
    assert done.code == 3
    assert 'No complete run of "archive" was ever recorded' in done.err
    assert check(shop).code == 0


def test_records_out_of_reach_are_out_of_order(shop: Shop) -> None:
    done = check(shop, **shop.nobody)
    assert done.code == 5
    assert "cannot be recorded in" in done.err


def test_records_that_were_never_made_are_out_of_order(shop: Shop) -> None:
    shop.execute("ALTER TABLE trigger_ops_driftrun RENAME TO hidden")
    try:
        done = check(shop)
    finally:
        shop.execute("ALTER TABLE hidden RENAME TO trigger_ops_driftrun")
    assert done.code == 4
    assert "run manage.py migrate trigger_ops" in done.err


@pytest.mark.parametrize(
    ("environment", "code", "said"),
    [
        ({"DJANGO_SETTINGS_MODULE": "nowhere.settings"}, 70, "No module named 'nowhere'"),
        ({"PYTHON": "/nowhere/python"}, 127, "/nowhere/python"),
        ({"PROJECT": "/nowhere"}, 70, "/nowhere"),
    ],
)
def test_a_check_that_was_never_made_is_out_of_order(
    environment: dict[str, str], code: int, said: str, shop: Shop
) -> None:
    done = check(shop, **environment)
    assert done.code == code
    assert said in done.err


@pytest.mark.parametrize(
    ("check_ends", "age_ends", "code"),
    [
        (0, 99, 0),
        (1, 0, 0),
        (1, 1, 0),
        (1, 3, 3),
        (3, 0, 0),
        (3, 1, 0),
        (3, 3, 3),
        (3, 5, 5),
        (3, 4, 4),
        (2, 99, 2),
        (4, 99, 4),
        (5, 99, 5),
        (6, 99, 6),
        (70, 99, 70),
        (137, 99, 137),
    ],
)
def test_what_each_exit_code_becomes(
    check_ends: int, age_ends: int, code: int, shop: Shop, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\necho report of $*\n"
        f'case "$*" in *--max-age*) exit {age_ends};; esac\nexit {check_ends}\n'
    )
    python.chmod(0o755)
    done = shop.run(SCRIPT, PYTHON=str(python))
    assert done.code == code
    assert done.out == "report of manage.py pgtrigger check --record --notify\n"
    assert bool(done.err) == bool(code)
    assert ("--max-age 15m" in done.err) == (code != 0 and check_ends in (1, 3))


# cron ---------------------------------------------------------------------------------------------

_FIELD = r"(?:\*|\d+(?:-\d+)?)(?:/\d+)?(?:,\d+(?:-\d+)?)*"
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def crontab() -> tuple[dict[str, str], list[tuple[list[str], str]]]:
    """Return the environment and the jobs of the crontab; fail on what cron would refuse."""
    text = (FOLDER / "crontab").read_text()
    assert text.endswith("\n")
    environment, jobs = {}, []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if setting := re.fullmatch(r"([A-Z_]+)=(\S+)", line):
            assert not jobs, "a variable counts for the jobs below it"
            environment[setting[1]] = setting[2]
            continue
        job = re.fullmatch(rf"({_FIELD}(?: {_FIELD}){{4}})  (\S.*)", line)
        assert job, line
        fields = job[1].split()
        for one, (least, most) in zip(fields, _RANGES, strict=True):
            numbers = [int(number) for number in re.findall(r"(?<!/)\b\d+", one)]
            assert all(least <= number <= most for number in numbers), line
        assert "%" not in job[2], "cron makes a new line of it"
        jobs.append((fields, job[2]))
    return environment, jobs


def run_job(shop: Shop, number: int, **environment: str) -> Done:
    """Run a job as cron does."""
    settings, jobs = crontab()
    assert set(settings) == {"SHELL", "MAILTO", "PROJECT", "PYTHON", "ARGUMENTS"}
    command = jobs[number][1].replace(WHERE, str(SCRIPT))
    given = {"ARGUMENTS": settings["ARGUMENTS"], **environment}
    return shop.run(settings["SHELL"], "-c", command, **given)


def test_the_jobs_are_the_check_and_letting_go() -> None:
    _, jobs = crontab()
    assert [fields[:2] for fields, _ in jobs] == [[f"*/{MINUTES}", "*"], ["17", "4"]]


def test_cron_mails_nothing_while_the_checking_is_in_order(shop: Shop) -> None:
    assert run_job(shop, 0) == Done(0, "", "")
    with shop.gutted(), shop.without_archive():
        assert run_job(shop, 0) == Done(0, "", "")


def test_cron_mails_when_it_is_not(shop: Shop) -> None:
    done = run_job(shop, 0, **shop.nobody)
    assert (done.code, done.out) == (5, "")
    assert "out of order" in done.err


def test_letting_go_is_mailed_only_where_it_fails(shop: Shop) -> None:
    assert run_job(shop, 1) == Done(0, "", "")
    done = run_job(shop, 1, **shop.nobody)
    assert (done.code, done.out) == (5, "")
    assert done.err


# systemd ------------------------------------------------------------------------------------------

_KEYS = {
    "Unit": {"Description", "Documentation", "Wants", "After", "OnFailure"},
    "Service": {
        *("Type", "User", "Environment", "EnvironmentFile", "ExecStart", "TimeoutStartSec"),
        *("NoNewPrivileges", "PrivateDevices", "PrivateTmp", "ProtectHome", "ProtectSystem"),
    },
    "Timer": {"OnCalendar", "RandomizedDelaySec", "Persistent"},
    "Install": {"WantedBy"},
}


def unit(kind: str) -> configparser.ConfigParser:
    """Read a unit; fail on a key twice, and on one that we have not looked up."""
    parser = configparser.ConfigParser(
        interpolation=None, delimiters="=", comment_prefixes="#", strict=True
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says to
    parser.read_string((FOLDER / f"trigger-ops-check.{kind}").read_text())
    for section in parser.sections():
        assert set(parser[section]) <= _KEYS[section]
    return parser


def test_the_service_fails_exactly_when_the_script_does(shop: Shop) -> None:
    service = unit("service")["Service"]
    assert (service["Type"], service["ExecStart"]) == ("oneshot", WHERE)
    assert "SuccessExitStatus" not in service
    names = {
        one.partition("=")[0]: one.partition("=")[2] for one in service["Environment"].split()
    }
    assert set(names) == {"PROJECT", "PYTHON", "MAX_AGE", "ARGUMENTS"}
    given = {name: names[name] for name in ("MAX_AGE", "ARGUMENTS")}
    with shop.gutted():
        assert shop.run(SCRIPT, **given).code == 0
    assert shop.run(SCRIPT, **given, **shop.nobody).code == 5
    assert unit("service")["Unit"]["OnFailure"] == "alert@%n.service"


def test_the_timer_starts_the_service_of_its_name() -> None:
    timer = unit("timer")
    assert timer["Timer"]["OnCalendar"] == f"*:0/{MINUTES}"
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert (FOLDER / "trigger-ops-check.service").is_file()


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """Where it is installed; the strict reading above is for where it is not."""
    for kind in ("service", "timer"):
        text = (FOLDER / f"trigger-ops-check.{kind}").read_text()
        (tmp_path / f"trigger-ops-check.{kind}").write_text(text.replace(WHERE, "/bin/true"))
    tool = shutil.which("systemd-analyze")
    if tool is None:
        assert unit("service")
        assert unit("timer")
        return
    done = subprocess.run(
        [tool, "verify", "--man=no", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Kubernetes ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    """Return the objects of cronjob.yaml by their kind."""
    found = list(yaml.safe_load_all((FOLDER / "cronjob.yaml").read_text()))
    assert [(one["apiVersion"], one["kind"]) for one in found] == [
        ("v1", "ConfigMap"),
        ("batch/v1", "CronJob"),
    ]
    return {one["kind"]: one for one in found}


def test_the_script_of_the_cluster_is_the_script(manifests: dict[str, Any]) -> None:
    assert manifests["ConfigMap"]["data"] == {SCRIPT.name: SCRIPT.read_text()}


def test_jobs_do_not_overlap_and_are_not_tried_again(manifests: dict[str, Any]) -> None:
    spec = manifests["CronJob"]["spec"]
    job = spec["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == (f"*/{MINUTES} * * * *", "Forbid")
    assert (job["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert 0 < spec["startingDeadlineSeconds"] < MINUTES * 60
    assert job["activeDeadlineSeconds"] == 900


def test_a_pod_may_do_nothing_but_run(manifests: dict[str, Any]) -> None:
    pod = manifests["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    volumes = {one["name"] for one in pod["volumes"]}
    assert volumes == {one["name"] for one in container["volumeMounts"]}


def test_a_job_fails_exactly_when_the_script_does(manifests: dict[str, Any], shop: Shop) -> None:
    pod = manifests["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    given = {one["name"]: one["value"] for one in container["env"]}
    assert set(given) == {"PROJECT", "PYTHON", "MAX_AGE", "ARGUMENTS"}
    given["PROJECT"] = str(ROOT)
    mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    shell, path = container["command"]
    assert path == f"{mounted['script']}/{SCRIPT.name}"
    command = (shell, SCRIPT)
    with shop.gutted():
        assert shop.run(*command, **given).code == 0
    assert shop.run(*command, **given, **shop.nobody).code == 5


# All of them --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["sh", "bash", "dash"])
def test_the_script_is_one_for_every_shell(shell: str) -> None:
    found = shutil.which(shell) or shutil.which("sh")
    assert found
    done = subprocess.run([found, "-n", SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert SCRIPT.stat().st_mode & 0o111 == 0o111


def ages() -> Iterator[str]:
    """Yield how old a run may be, wherever that is said."""
    yield from re.findall(r"MAX_AGE:-(\w+)", SCRIPT.read_text())
    yield from re.findall(r"MAX_AGE=(\w+)", (FOLDER / "trigger-ops-check.service").read_text())
    yield from re.findall(r"name: MAX_AGE\n\s+value: (\w+)", (FOLDER / "cronjob.yaml").read_text())


def test_all_recipes_look_at_every_schema(manifests: dict[str, Any]) -> None:
    pod = manifests["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    values = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    service = re.findall(r"ARGUMENTS=(\S+)", unit("service")["Service"]["Environment"])
    assert [crontab()[0]["ARGUMENTS"], *service, values["ARGUMENTS"]] == ["--all-schemas"] * 3


def test_three_intervals_are_the_same_everywhere() -> None:
    assert list(ages()) == [f"{3 * MINUTES}m"] * 3
    rules = (DOCS / "metrics" / "alert-rules.yml").read_text()
    assert rules.count(f"> {3 * MINUTES * 60}\n") == 2
    assert re.findall(r"absent\(.*\)\n\s+# Three intervals\.\n\s+for: (\w+)", rules) == [
        f"{3 * MINUTES}m"
    ]
