from __future__ import annotations

import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_caixin.audience import (
    FileAudience,
)
from tests.unit.audience.sources.stored import A, B, C, StoredFile, rows

MOBILES = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=ascii)
@pytest.mark.parametrize("bom", ["", "\ufeff"], ids=ascii)
def test_a_text_file_is_one_number_a_line(end: str, bom: str) -> None:
    """Any line end, with and without BOM, last line ended or not; blank lines are no rows, bad ones are."""
    lines = [A, "", B, "   ", "# comment", C]
    expected = [A, B, "# comment", C]
    for data in (bom + end.join(lines), bom + end.join(lines) + end):
        assert rows("a.txt", data) == expected
        assert rows("A.TXT.GZ", gzip.compress(data.encode())) == expected


@settings(deadline=None)
@given(
    st.lists(MOBILES | st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1)),
    st.integers(1, 40),
)
def test_lines_survive_any_chunking(lines: list[str], size: int) -> None:
    """No line is lost, doubled or split where the chunks end, be it within a line end or a character."""

    class Chunked(StoredFile):
        def open(self, mode: str, /) -> io.BytesIO:
            stream = super().open(mode)
            stream.read = lambda _=-1: io.BytesIO.read(stream, size)  # type: ignore[method-assign]
            return stream

    text = "\r\n".join(["x" * 8, *lines])
    assert list(FileAudience(Chunked("a.txt", text.encode()))) == ["x" * 8, *lines]
