"""Files that cannot be used: which, whose they are, and who asked."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def refusal(file: Path) -> str | None:
    """
    Say why this process may not read and write a file, or make it; None: it may, as far as can be told.

    :param file: the file, which need not be there.
    """
    folder = file.parent
    try:
        if not folder.is_dir():
            return f"{folder} is not a folder"
        if file.is_dir():
            return f"{file} is a folder"
        # SQLite keeps two more files beside its own.
        for place, what, mode in (
            (folder, "folder", os.W_OK | os.X_OK),
            (file, "file", os.R_OK | os.W_OK),
        ):
            if place.exists() and not os.access(place, mode):
                return _whose(place, what)
    except PermissionError:
        # A folder further up keeps everybody else out.
        closed = next((one for one in reversed(folder.parents) if not os.access(one, os.X_OK)), folder)
        return _whose(closed, "folder")
    return None


def temporary_folder() -> str | None:
    """Say which folder SQLite takes for its temporary files; None: there is none that it may write to."""
    named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"))
    for name in (*named, "/var/tmp", "/usr/tmp", "/tmp", "."):  # noqa: S108  # SQLite's own order
        if name and os.path.isdir(name) and os.access(name, os.W_OK | os.X_OK):  # noqa: PTH112  # as SQLite reads it
            return name
    return None


def _whose(place: Path, what: str) -> str:
    try:
        status = place.stat()
    except OSError:
        return f"the {what} {place} may not be looked at by the user {_user(os.geteuid())}"
    return (
        f"the {what} {place} belongs to {_user(status.st_uid)} (mode {status.st_mode & 0o777:o}), and this process, "
        f"which runs as {_user(os.geteuid())}, may not write to it"
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
