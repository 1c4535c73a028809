"""Files and folders that this process may not use, and the sentence that says whose they are."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def refusal(file: Path) -> str | None:
    """Return why this process may not read and write a file, or make it; None: it seems that it may."""
    folder = file.parent
    try:
        if not folder.is_dir():
            return f"{folder} is not a folder"
        if file.is_dir():
            return f"{file} is a folder"
        # SQLite keeps two more files beside its own.
        for path, what, mode in (
            (folder, "folder", os.W_OK | os.X_OK),
            (file, "file", os.R_OK | os.W_OK),
        ):
            if path.exists() and not os.access(path, mode):
                return _owner_sentence(path, what)
    except PermissionError:
        # A folder further up keeps everybody else out.
        closed = next((one for one in reversed(folder.parents) if not os.access(one, os.X_OK)), folder)
        return _owner_sentence(closed, "folder")
    return None


def temporary_folder() -> str | None:
    """Return the folder that SQLite takes for temporary files; None: there is none that it may write to."""
    named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"))
    for name in (*named, "/var/tmp", "/usr/tmp", "/tmp", "."):  # noqa: S108  # SQLite's own order
        if name and os.path.isdir(name) and os.access(name, os.W_OK | os.X_OK):  # noqa: PTH112  # as SQLite reads it
            return name
    return None


def _owner_sentence(path: Path, what: str) -> str:
    try:
        status = path.stat()
    except OSError:
        return f"the {what} {path} may not be looked at by the user {_user(os.geteuid())}"
    return (
        f"the {what} {path} belongs to {_user(status.st_uid)} (mode {status.st_mode & 0o777:o}), and this process, "
        f"which runs as {_user(os.geteuid())}, may not write to it"
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
