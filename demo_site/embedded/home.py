"""The folder `.demo`: the data, or a pointer to it, the password, and the two locks."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo_site.embedded import account as accounts
from demo_site.embedded.account import Account
from demo_site.embedded.exceptions import EmbeddedPostgresError

ELSEWHERE = Path("/var/lib/trigger_ops-demo")
CACHE = Path("/var/cache/trigger_ops-demo")
_NOT_FOR_PG_CTL = frozenset("\"'$`\\\n")


def project_home() -> Path:
    """Return `.demo` in the root of the project."""
    return Path(__file__).resolve().parent.parent.parent / ".demo"


@dataclass(frozen=True)
class Home:
    """A home by its resolved path. Everything in it belongs to the launcher."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held exclusively while somebody decides to start or to stop the server."""
        return self.path / "lock"

    @property
    def users(self) -> Path:
        """Locked shared by each process that uses the server, as long as it lives."""
        return self.path / "users.lock"

    @property
    def run(self) -> Path:
        """Locked exclusively by the test run that has this home for itself."""
        return self.path / "run.lock"

    @property
    def keep(self) -> Path:
        """Exists while the server shall outlive its users."""
        return self.path / "keep-running"

    @property
    def pointer(self) -> Path:
        """Holds the path of the folder with the data, where that is not the home itself."""
        return self.path / "data-folder"

    @property
    def password(self) -> Path:
        """Holds the password of the role `postgres`, readable for its owner alone."""
        return self.path / "password"

    def create(self) -> None:
        """Make the folder. Root's is open for passing through: the server runs as another."""
        if not self.path.is_dir():
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)

    def pointed_to(self) -> Path | None:
        """Return the folder that the pointer names, if that folder says it belongs to this home."""
        try:
            target = Path(self.pointer.read_text().strip())
            claimed = (target / "home").read_text().strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return target if claimed == str(self.path) else None

    def data_folders(self) -> list[Path]:
        """Return every data folder of this home, of whatever version."""
        roots = [self.path, self.pointed_to()]
        found = [data for root in roots if root for data in root.glob("pgdata-*")]
        return sorted(data for data in found if data.name.removeprefix("pgdata-").isdigit())

    def data_folder(self, major: int, account: Account) -> Path:
        """Return the data folder for a major version: here, or where `account` can reach it."""
        elsewhere = self.pointed_to()
        if elsewhere is None and not accounts.can_reach(self.path, account):
            elsewhere = self._settle_elsewhere(account)
        data = (elsewhere or self.path) / f"pgdata-{major}"
        if _NOT_FOR_PG_CTL & set(str(data)):
            raise EmbeddedPostgresError(
                f"pg_ctl cannot work in {data}, whose path has a quote, a backslash, a dollar or "
                "a line break: move the project, or set DATABASE_URL to a server of yours."
            )
        return data

    def _settle_elsewhere(self, account: Account) -> Path:
        if not account.switch:
            raise EmbeddedPostgresError(f"You cannot enter {self.path}: set DATABASE_URL instead.")
        target = _own_folder(ELSEWHERE, self._mark())
        os.chown(target, account.uid, account.gid)
        target.chmod(0o700)
        if not accounts.can_reach(target, account):
            raise EmbeddedPostgresError(
                f"The account '{account.name}' can reach neither {self.path} nor {target}: "
                "set DATABASE_URL to a server of yours."
            )
        (target / "home").write_text(f"{self.path}\n")
        self.pointer.write_text(f"{target}\n")
        return target

    def cache_folder(self) -> Path:
        """Return this home's folder for copied programs, which every account can enter."""
        return _own_folder(CACHE, self._mark())

    def _mark(self) -> str:
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]

    def read_password(self, *, create: bool = False) -> str:
        """Return the password; `create` makes one where there is none."""
        if create and not self.password.exists():
            unfinished = self.password.with_suffix(".new")
            unfinished.unlink(missing_ok=True)
            unfinished.touch(mode=0o600)
            unfinished.write_text(secrets.token_urlsafe(24))
            unfinished.rename(self.password)
        try:
            return self.password.read_text().strip()
        except FileNotFoundError:
            raise EmbeddedPostgresError(
                f"The data of {self.path} is there, but its password file is gone: "
                "drop the data with 'make demo-reset'."
            ) from None

    def drop(self) -> None:
        """Remove everything this home has on disk; a folder with other things in it stays."""
        folders = [*self.data_folders(), CACHE / self._mark()]
        folders += [folder for folder in [self.pointed_to()] if folder]
        folders += self.path.glob("pgdata-*.new")
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():
                raise EmbeddedPostgresError(f"{folder} could not be removed: remove it by hand.")
        for root in (CACHE, ELSEWHERE):
            _remove_if_empty(root)
        files = (self.pointer, self.password, self.keep, self.run, self.users, self.lock)
        for file in files:
            file.unlink(missing_ok=True)
        _remove_if_empty(self.path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock under which starts and stops are decided, one process at a time."""
        descriptor = self._take_lock()
        try:
            yield
        finally:
            os.close(descriptor)

    def _take_lock(self) -> int:
        while True:
            self.create()
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                current = is_file(descriptor, self.lock)
            except BaseException:
                os.close(descriptor)
                raise
            if current:
                return descriptor
            os.close(descriptor)  # a reset removed this file while we waited for it


def is_file(descriptor: int, path: Path) -> bool:
    """Say whether `path` still names the file behind `descriptor`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _own_folder(root: Path, name: str) -> Path:
    folder = root / name
    for each in (root, folder):
        if not each.is_dir():
            each.mkdir(parents=True)
            each.chmod(0o755)
    return folder


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
