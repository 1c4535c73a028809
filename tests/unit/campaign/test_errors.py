from __future__ import annotations

from airflow_provider_caixin.campaign import errors
from airflow_provider_caixin.campaign.errors import CampaignError


def drawn(kind: type[Exception], depth: int = 0) -> list[str]:
    """Draw a tree of errors, as many spaces as it is deep."""
    below = [line for one in kind.__subclasses__() for line in drawn(one, depth + 1)]
    return [f"{'  ' * depth}{kind.__name__}", *below]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """It names each way in which a run ends, below what it is one of."""
    lines = (errors.__doc__ or "").split("::")[1].split("\n\nWhatever")[0].strip("\n").splitlines()
    shown = [line[4:22].rstrip().ljust(1) for line in lines]
    names = [
        f"{name[: len(name) - len(name.lstrip())]}{line.split()[0]}"
        for name, line in zip(shown, lines, strict=True)
    ]
    assert sorted(names) == sorted(drawn(CampaignError))
