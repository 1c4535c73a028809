"""The suppression list and the files that are imported into it."""

from __future__ import annotations

import re
from pathlib import Path

from .conftest import A, B, C, Run


def test_a_file_is_checked_the_evening_before(run: Run, tmp_path: Path) -> None:
    """What is readable, new, none and damaged; nothing is imported; the status says if a send would stop."""
    source = tmp_path / "out.csv"
    source.write_text(f"名单\n手机号,姓名\n{A},甲\n{B},乙\n{B},乙\n合计 3,\n")
    run("suppress", "add", A)
    checked = run("suppress", "import", "--check", str(source), "-o", "json")
    assert (checked.status, checked.json) == (
        0,
        {
            "file": str(source),
            "numbers": 2,
            "new": 1,
            "not_mobile": 1,
            "may_be_damaged": 0,
            "damaged_rows": [],
        },
    )
    source.write_text(f"手机号\n{B}\n\n1.38E+10\n")
    checked = run("suppress", "import", "--check", str(source))
    assert checked.status == 1
    assert re.search(r"may_be_damaged +\| 1", checked.out)
    assert (
        "line 4: '9.99E+99' (9 stands for a digit, x for a letter). A send with this list stops"
        in checked.err
    )
    assert [row["mobile"] for row in run("suppress", "list", "-o", "json", full=True).json] == [A]
    source.write_text("张三\n李四\n")
    none = run("suppress", "import", "--check", str(source))
    assert (none.status, "Not one row is a mobile number" in none.err) == (1, True)


def test_an_import_takes_what_it_can_read_and_names_the_rest(run: Run, tmp_path: Path) -> None:
    """The numbers are on the list, the damaged row is told, and the command has failed."""
    source = tmp_path / "out.txt"
    source.write_text(f"{A}\n1391234000\n{B}/{C}\n")
    imported = run("suppress", "import", str(source))
    assert imported.status == 1
    assert "1 row may be a damaged mobile number (line 2: '9999999999'" in imported.err
    assert "What can be read is on the suppression list." in imported.err
    assert [row["mobile"] for row in run("suppress", "list", "-o", "json", full=True).json] == [A, B, C]
    for command in (("check",), ("send", "--tpl-id", "65535", "-y")):
        stopped = run(*command, A, "--suppress-file", str(source))
        assert (stopped.status, "may be a damaged mobile number" in stopped.err) == (2, True)
    source.write_text("13912340009\n1391234000\n")
    stopped = run("send", "--tpl-id", "65535", "-y", A, "--suppress-file", str(source))
    assert "What can be read is on the suppression list." in stopped.err
    assert run("suppress", "list", "-o", "json", full=True).json[-1]["mobile"] == "13912340009"


def test_the_suppression_list(run: Run, tmp_path: Path) -> None:
    """Added, imported, listed, written to a file that can be imported, removed."""
    assert run("suppress", "add", A, B, "--reason", "complained").status == 0
    source = tmp_path / "source.txt"
    source.write_text(f"{B}\n{C}\n")
    assert "1 numbers are new" in run("suppress", "import", str(source), "--reason", "shop").err
    listed = run("suppress", "list", "-o", "json", full=True).json
    assert [(row["mobile"], row["reason"]) for row in listed] == [
        (A, "complained"),
        (B, "complained"),
        (C, "shop"),
    ]
    assert "There are more than 2" in run("suppress", "list", "--most", "2", full=True).err
    written = tmp_path / "all.csv"
    run("suppress", "list", "--file", str(written))
    assert run("number", "show", A, "-o", "json", full=True).json["suppressed_reason"] == "complained"
    assert run("suppress", "remove", A, B, C).status == 5
    assert run("suppress", "remove", A, B, C, "-y").status == 0
    assert run("suppress", "remove", A, "-y").status == 4
    assert "3 numbers are new" in run("suppress", "import", str(written)).err
    assert run("send", "--tpl-id", "65535", A, "-y").status == 4
