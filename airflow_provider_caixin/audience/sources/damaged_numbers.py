"""All numbers of a row, and whether a part of it may be a damaged one.

Of a list of suppressed numbers, a damaged one must not be passed over without a word.
"""

from __future__ import annotations

import re
from string import ascii_letters

from airflow_provider_caixin.audience.numbers import LENGTH, compact, normalise, text_of
from airflow_provider_caixin.audience.sources.patterns import UnevenRow

# Where one cell holds several numbers.
_BETWEEN = re.compile(r"[,;/|、，；\r\n]+")
# What stands within one that is meant to be read.
_WITHIN = re.compile(r"[,;:/\\|、，；：.·_~^\r\n]+")
_NUMBER = re.compile(r"(?<!\d)(?:(?:\+|00)?86[ -]?|0)?(1[3-9]\d{9})(?!\d)")
_SCIENTIFIC = re.compile(r"\d(?:\.\d+)?[eE]\+?\d")
_MOMENT = re.compile(
    r"(?<![\d-])(?:19|20)\d\d[-./年]\d{1,2}[-./月]\d{1,2}日?(?!\d)|(?<!\d)\d{1,2}:\d\d(?::\d\d)?(?!\d)"
)
# What stands for digits that were covered, besides the letter x.
_COVERS = "*?#•×＊"
_WORD = re.compile(rf"[+0-9A-Za-z{re.escape(_COVERS)}]+")

# Fewer digits are a count, a service's short number, a year.
_FEWEST_DIGITS = 7
_ABROAD = re.compile(r"(?:\+|00)(?!86)\d{7,}|(?:852|853|886)\d{8,9}")
_LANDLINE = re.compile(r"0(?!1[3-9])\d{6,}|[48]00\d{7}")


def numbers_in(row: object) -> tuple[list[str], bool]:
    """Return all numbers of a row, and whether a part of it may be a damaged one.

    Landlines, numbers of other countries, dates, counts and words are surely no mobile numbers. A number may
    be damaged where digits are missing, covered, too many or in scientific notation; so may all of a row of
    another width than its header, because whose they are is not known.
    """
    number = normalise(row)
    if number:
        return [number], False
    # A moment's digits are nobody's, and part what stands around them.
    text = _MOMENT.sub(
        "@", compact(",".join(row.cells) if isinstance(row, UnevenRow) else text_of(row), keep=" -'\"")
    )
    found, damaged = _read(_BETWEEN.split(text))
    if not found and not damaged:
        # What parts numbers may stand within one.
        found, damaged = _read([_WITHIN.sub("", text)])
    if isinstance(row, UnevenRow):
        return [], damaged or bool(found)
    return found, damaged


def _read(pieces: list[str]) -> tuple[list[str], bool]:
    found: list[str] = []
    damaged = False
    for piece in pieces:
        if number := normalise(piece):
            found.append(number)
        elif _SCIENTIFIC.search(piece):
            damaged = True
        else:
            found += _NUMBER.findall(piece)
            damaged = damaged or any(map(_may_be_damaged, _NUMBER.sub("\n", piece).split("\n")))
    return found, damaged


def _may_be_damaged(part: str) -> bool:
    words = _WORD.findall(compact(part).translate(dict.fromkeys(map(ord, "._·"))))
    return any(_is_damaged(word) or _is_damaged(word.lstrip(ascii_letters)) for word in words)


def _is_damaged(word: str) -> bool:
    if _ABROAD.fullmatch(word):
        return False
    word = re.sub(r"^(?:\+|00)?86(?=.{7})", "", word)
    digits, covered = sum(map(str.isdigit, word)), sum(map((_COVERS + "xX").count, word))
    if covered and digits >= 2 and digits + covered >= _FEWEST_DIGITS:
        return True
    if digits < _FEWEST_DIGITS or _LANDLINE.fullmatch(word):
        return False
    if not word.isdigit():
        # A letter in the place of a digit.
        return word[0] in "1lI" and len(word) <= LENGTH + 2
    return (
        re.match(r"0?1[3-9]", word) is not None
        or digits == LENGTH
        or (digits > LENGTH and word[0] == "1")
        # The first digit is lost; no area code without its 0 is left out by that.
        or (digits == LENGTH - 1 and word[0] in "3456789")
        or digits >= 2 * LENGTH - 1
    )
