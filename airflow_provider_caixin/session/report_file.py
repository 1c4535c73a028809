"""Where a report goes: a file of this host or an object of a store, never what a campaign is read from."""

from __future__ import annotations

import errno
import logging
import os
import posixpath
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from uuid import uuid4

from airflow_provider_caixin.ledger import LedgerError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

# A byte order mark, because Excel takes a CSV without one for the local code page.
_ENCODING: Final = "utf-8-sig"
_STAYS = (
    ImportError,
    ValueError,
    PermissionError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    NotImplementedError,
)
_STAYS_TOO = (errno.ENAMETOOLONG, errno.EROFS, errno.ELOOP)
_ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfss": "abfs", "az": "abfs"}


class ReportError(OSError):
    """A report cannot be written; ``lasting``: it stays so until someone acts."""

    def __init__(self, sentence: str, *, lasting: bool) -> None:
        super().__init__(sentence)
        self.lasting = lasting


class ReportFile:
    """A CSV that is there as a whole or not at all, as far as the place allows it.

    On this host its folder is made, and it is written aside and renamed. In a store nothing is made but the
    object itself: to make its folder would be to make a bucket.

    :param path: where to.
    :param argument: what it was given as, for messages.
    :raises ValueError: when the path names no file.
    """

    def __init__(self, path: ObjectStoragePath, argument: str = "report_file") -> None:
        self._path = path
        self._given = f"{argument} {str(path)!r}"
        self._here = _local(path)
        if not path.name:
            raise ValueError(f"{self._given} names no file: expected a path or URL that ends with one.")

    def refuse_inputs(self, **inputs: ObjectStoragePath | None) -> None:
        """Check that the report overwrites nothing that the campaign reads, in whatever spelling.

        :param inputs: files by the names of their arguments; None: there is none.
        """
        for name, path in inputs.items():
            if path is not None and _same(self._path, path):
                raise ValueError(
                    f"{self._given} is the file that {name} {str(path)!r} names, which the report would overwrite: give another path."
                )

    def check(self) -> None:
        """Check that the report can be written, by writing something else beside it and removing that."""
        with self._translated():
            if self._here is None:
                self._probe()
            elif _is_written_straight(self._here):
                if not os.access(self._here, os.W_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            else:
                aside = _aside(self._here)
                aside.touch(exist_ok=False)
                aside.unlink()

    @contextmanager
    def open(self) -> Iterator[IO[str]]:
        """Open it for writing; a ReportError says why it cannot be written."""
        with self._translated():
            if self._here is None or _is_written_straight(self._here):
                with self._path.open("w", encoding=_ENCODING, newline="") as file:  # type: ignore[no-untyped-call]
                    yield file
                return
            aside = _aside(self._here)
            try:
                with aside.open("x", encoding=_ENCODING, newline="") as file:
                    _keep_mode(self._here, aside)
                    yield file
                _put(aside, Path(os.path.realpath(self._here)))
            finally:
                aside.unlink(missing_ok=True)

    def _probe(self) -> None:
        # Not through Airflow's path, which would tell of it as of an output.
        store = self._path.fs
        probe = self._path.with_name(f"{self._path.name}.{uuid4().hex}.probe").path
        with store.open(probe, "wb") as file:
            file.write(b"Whether the report can be written here.\n")
        try:
            store.rm_file(probe)
        except Exception as error:  # noqa: BLE001  # each store has errors of its own
            log.info(
                "%s can be written; %s, which was written to see that, cannot be removed: %s",
                self._given,
                probe,
                error,
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (LedgerError, BrokenPipeError):
            raise
        except Exception as error:
            # Each store has errors of its own, this host has not.
            if self._here is not None and not isinstance(error, OSError):
                raise
            why = getattr(error, "strerror", None) or error
            raise ReportError(
                f"{self._given} cannot be written: {type(error).__name__}: {why}.",
                lasting=isinstance(error, _STAYS) or getattr(error, "errno", None) in _STAYS_TOO,
            ) from error


def _local(path: ObjectStoragePath) -> Path | None:
    return Path(path.path).expanduser() if path.protocol in ("", "file", "local") else None


def _same(one: ObjectStoragePath, other: ObjectStoragePath) -> bool:
    here, there = _local(one), _local(other)
    if here and there:
        with suppress(OSError):
            return here.samefile(there)
        return os.path.realpath(here) == os.path.realpath(there)
    return not here and not there and _address(one) == _address(other)


def _address(path: ObjectStoragePath) -> tuple[str, str]:
    """Return where in which kind of store it is; through which connection makes no other bucket of it."""
    return _ALIASES.get(path.protocol, path.protocol), posixpath.normpath(path.path)


def _is_written_straight(path: Path) -> bool:
    """Return whether it is a pipe, a device or a shell's redirection, or no file can be put beside it."""
    if not path.exists() or path.is_dir():
        return False
    folder = Path(os.path.realpath(path)).parent
    redirected = any(map(path.absolute().is_relative_to, ("/dev/fd", "/dev/stdout", "/dev/stderr", "/proc")))
    return redirected or not path.is_file() or not os.access(folder, os.W_OK | os.X_OK)


def _put(aside: Path, target: Path) -> None:
    """Replace a file, or write over it where refused: a mount, or another user's in a folder like /tmp."""
    try:
        aside.replace(target)
    except OSError:
        if not target.exists():
            raise
        shutil.copyfile(aside, target)


def _aside(path: Path) -> Path:
    """Return a name beside the file that a path leads to, where it may be written and renamed."""
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    # Also where its name is too long.
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return target.with_name(f".{uuid4().hex}.part")


def _keep_mode(path: Path, aside: Path) -> None:
    """Let those users read the new file who could read the old one, and no others."""
    with suppress(FileNotFoundError):
        before = path.stat()
        aside.chmod(stat.S_IMODE(before.st_mode))
        with suppress(PermissionError):
            os.chown(aside, before.st_uid, before.st_gid)
