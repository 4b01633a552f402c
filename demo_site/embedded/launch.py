"""Enter a home: one server for all of its users, started by the first."""

from __future__ import annotations

from pathlib import Path

from demo_site.embedded import DATABASE_NAME, account, binaries, server, usage
from demo_site.embedded.exceptions import EmbeddedPostgresError
from demo_site.embedded.home import Home, project_home


def settled(home: Path | None) -> Home:
    """Return the home at a path, or the project's own."""
    return Home((home or project_home()).expanduser().resolve())


def enter(home: Home, *, durable: bool) -> str:
    """Become a user of this home's server, started if need be, and return its DATABASE_URL."""
    try:
        with home.locked():
            found = binaries.find()
            server_account = account.current()
            data = home.data_folder(found.major, server_account)
            _clear_of_other_versions(home, data)
            usage.join(home)
            running = server.running(data) or _start(home, data, found, durable=durable)
            return url_of(home, running)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL cannot be started in {home.path}: {error}. "
            "Give yourself the right to write there, or set DATABASE_URL to a server of yours."
        ) from error


def _start(home: Home, data: Path, found: binaries.Binaries, *, durable: bool) -> server.Server:
    owner = account.owner_of(data, account.current())
    usable = binaries.within_reach(found, owner, home)
    if not (data / "PG_VERSION").exists():
        server.initialise(data, usable, owner, home.read_password(create=True))
    return server.start(data, usable, owner, durable=durable)


def _clear_of_other_versions(home: Home, data: Path) -> None:
    for other in home.data_folders():
        if other == data or server.running(other) is None:
            continue
        if usage.in_use(home):
            raise EmbeddedPostgresError(
                f"Another process uses the server in {other}, and this one wants {data.name}: "
                "end that process first, or set DATABASE_URL to a server of yours."
            )
        server.stop(other)


def join_running(home: Home, url: str) -> None:
    """Become a user of the server behind `url` if it is this home's and it runs."""
    try:
        if not home.lock.exists():
            return
        with home.locked():
            running = find_running(home)
            if running and url_of(home, running).rpartition("/")[0] == url.rpartition("/")[0]:
                usage.join(home)
    except (OSError, EmbeddedPostgresError):
        return  # the address alone is enough to work with


def find_running(home: Home) -> server.Server | None:
    """Return the server that runs in this home, if any."""
    found = (server.running(data) for data in home.data_folders())
    return next((each for each in found if each), None)


def url_of(home: Home, running: server.Server) -> str:
    """Return the DATABASE_URL of a running server of this home, password included."""
    password = home.read_password()
    return f"postgresql://postgres:{password}@127.0.0.1:{running.port}/{DATABASE_NAME}"


def stop(home: Home) -> bool:
    """Stop the server of this home whoever uses it; say whether one ran."""
    with home.locked():
        home.keep.unlink(missing_ok=True)
        stopped = [data for data in home.data_folders() if server.stop(data)]
    return bool(stopped)


def reset(home: Home, *, unless_in_use: bool = False) -> bool:
    """Stop the server and remove everything this home has on disk; say whether it was done."""
    if not home.path.exists():
        return False
    with home.locked():
        if unless_in_use and usage.in_use(home):
            return False
        for data in home.data_folders():
            server.stop(data)
        home.drop()
    return True
