"""The style sheets of both pages: colours, sizes and gaps come from the one sheet of tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "airflow_provider_caixin"
SHARED = PACKAGE / "page" / "static" / "shared"
TOKENS = (SHARED / "tokens.css").read_text(encoding="utf-8")
SHEETS = sorted({*PACKAGE.glob("*/static/*.css"), *SHARED.glob("*.css")} - {SHARED / "tokens.css"})
SCRIPTS = sorted({*PACKAGE.glob("*/static/*.js"), *SHARED.glob("*.js")})

COLOUR = re.compile(
    r"#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch)\(|\b(?:black|white|gr[ae]y|red)\b"
)
# One pixel is a hairline.
LENGTH = re.compile(r"(?<![\w.-])(?!1px)[\d.]+(?:px|em|rem)\b")
FROM_TOKENS = (
    "font",
    "font-size",
    "padding",
    "margin",
    "gap",
    "row-gap",
    "column-gap",
    "border-radius",
    "box-shadow",
)


def declarations(sheet: str) -> Iterator[tuple[str, str]]:
    """Return a sheet's properties and values."""
    for name, value in re.findall(
        r"^\s*([\w-]+):\s*([^;{}]+);", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL), re.MULTILINE
    ):
        yield name, " ".join(value.split())


def is_from_tokens(name: str) -> bool:
    """Tell whether a property's lengths are tokens."""
    return name in FROM_TOKENS or name.startswith(("padding-", "margin-"))


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_colour_size_or_gap_stands_outside_the_tokens(sheet: Path) -> None:
    """A value that is no token yet belongs into tokens.css, or is one of those that are there."""
    text = sheet.read_text(encoding="utf-8")
    found = list(declarations(text))
    assert len(found) > 100
    # color-mix names a colour space, and no colour.
    colours = [(name, value) for name, value in found if COLOUR.search(value.replace("in oklab,", ""))]
    lengths = [(name, value) for name, value in found if is_from_tokens(name) and LENGTH.search(value)]
    assert (colours, lengths) == ([], [])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_script_brings_colours_or_sizes_of_its_own(script: Path) -> None:
    """What is drawn on a canvas takes the tokens, too."""
    text = script.read_text(encoding="utf-8")
    assert not re.search(r"\b(?:rgba?|hsla?|oklch)\(|[\"'` ]\d+px\b", text)


def test_the_scale_is_small_and_every_token_is_used() -> None:
    """Six sizes of type (and code's share of its text's), seven gaps; each dark name is a light one too."""
    light, dark = (list(dict(declarations(half))) for half in TOKENS.split(":root.dark"))
    assert [
        len([name for name in light if name.startswith(prefix)])
        for prefix in ("--size-", "--gap-", "--radius")
    ] == [7, 7, 4]
    assert set(dark) <= set(light)
    everywhere = "\n".join(path.read_text(encoding="utf-8") for path in (*SHEETS, *SCRIPTS))
    # A chart asks for its colours by name, and a state's is that of its name.
    unused = [
        name
        for name in light
        if name.startswith("--") and f"var({name})" not in everywhere and f'"{name[2:]}"' not in everywhere
    ]
    assert unused == []
    asked = set(re.findall(r"var\((--[\w-]+)", everywhere))
    assert asked - set(light) <= {"--state", "--tone", "--tone-ground"}
