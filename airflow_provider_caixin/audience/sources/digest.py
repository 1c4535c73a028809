"""A hash of what a source is known by: of a query and its parameters, of a function and its arguments."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from io import BytesIO
from pathlib import PurePath
from typing import Final
from uuid import UUID

from airflow_provider_caixin.audience.numbers import written

# Types whose text says all that a value is.
_WHOLE_TEXT: Final = (bytes, bytearray, date, time, timedelta, Decimal, Enum, PurePath, UUID)
# Where an object lies in memory, which is another place in each process.
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]{6,16}\b")


def digest_of(values: object) -> str:
    """Return a hash of what a source is known by; the same value has the same hash in every process.

    Of an object without a text of its own only the type counts. What is fetched item by item is fetched.
    """
    return sha256(json.dumps(_plain(values)).encode()).hexdigest()


def _plain(value: object) -> object:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        return sorted([_key(key), json.dumps(_plain(item))] for key, item in value.items())
    if isinstance(value, _WHOLE_TEXT):
        return [type(value).__qualname__, str(value)]
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(json.dumps(_plain(item)) for item in value)
    own = type(value).__repr__ is not object.__repr__ or type(value).__str__ is not object.__str__
    if not own:
        return [type(value).__qualname__, "", ""]
    contents = _Contents()
    found = contents.hash_of(value)
    # The text would show a set in the order that it has in this process.
    text = "" if found and contents.sets else _ADDRESS.sub("", written(value))
    return [type(value).__qualname__, text, found]


def _key(key: object) -> str:
    """Return the text of a mapping's key, which may be, or hold, a frozenset."""
    contents = _Contents()
    contents.hash_of(key)
    return json.dumps(_plain(key)) if contents.sets else _ADDRESS.sub("", written(key))


class _Contents(pickle.Pickler):
    """What an object holds: a text of its own, such as a table's, may leave out most of it.

    A set's items are taken in the order of what they are and not in that of their hashes, which differ
    between processes.
    """

    def __init__(self) -> None:
        self._written = BytesIO()
        super().__init__(self._written)
        #: Whether there were any sets in it.
        self.sets = False

    def persistent_id(self, value: object) -> object:
        """Return what a set is written as, and leave all else to pickle."""
        if not isinstance(value, (set, frozenset)):
            return None
        self.sets = True
        return [type(value).__qualname__, _plain(frozenset(value))]

    def hash_of(self, value: object) -> str:
        """Return an object's hash, which is empty where it cannot be pickled."""
        with suppress(Exception):
            self.dump(value)
            return sha256(self._written.getvalue()).hexdigest()
        return ""
