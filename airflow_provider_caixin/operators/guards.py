"""What only a Dag's own text may leave out: a value that renders to nothing removes no guard."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from airflow.sdk.definitions._internal.templater import Templater

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

#: Arguments that keep people from being billed; of a template or an upstream task they take no nothing.
GUARDS: Final = ("dry_run", "max_messages", "expires_at", "suppress_file")
#: What such an argument says for "none": a text, because nothing is what a mistake comes to.
OFF: Final = "off"

# No guards, but with nothing in their place the campaign is another one, and the people those of another column.
_NAMES: Final = ("campaign_id", "audience_column")
_FILES: Final = ("audience_file", "suppress_file", "report_file")


def is_nothing(value: object) -> bool:
    """
    Tell whether a value is what templates and upstream tasks give for nothing.

    :param value: the rendered value.
    """
    # Dag files import this module, and Jinja is heavy.
    from jinja2 import Undefined

    if isinstance(value, str):
        return value.strip() in ("", "None")
    return value is None or isinstance(value, Undefined)


def is_path(value: object) -> bool:
    """
    Tell whether a value is a path object, of this host or of a store.

    :param value: what was given.
    """
    return isinstance(value, os.PathLike) or hasattr(value, "joinpath")


def came_to_nothing(name: str, value: object) -> str:
    """
    Say that an argument is refused because there is nothing in it.

    :param name: the argument.
    :param value: what it came to.
    """
    if name == "dry_run":
        way = "expected true or false"
    elif name in GUARDS:
        way = f'expected a value, or the text "{OFF}" for none'
    else:
        way = "expected a name; leave the argument out if it has none"
    return f"{name} came to {value!r}, which is what templates, upstream tasks and variables give for nothing: {way}."


class Guarded(Templater):
    """
    What has template fields that are guards, or files.

    Only before the rendering can None that the Dag says be told from None that something came to.
    """

    # Sentences, and no error at once: Airflow retries what fails while it renders.
    _lost: tuple[str, ...] = ()

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Any,
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render as ever, paths as their text, and note which guards came to nothing."""
        given = {}
        if parent is self:
            given = {name: getattr(self, name) for name in (*GUARDS, *_NAMES) if name in template_fields}
            for name in _FILES:
                path = getattr(self, name) if name in template_fields else None
                # Airflow renders its own paths, and nothing that an upstream task gave.
                if is_path(path) and not isinstance(path, ObjectStoragePath) and id(path) not in seen_oids:
                    setattr(self, name, str(path))
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
        lost = [
            came_to_nothing(name, getattr(self, name))
            for name, before in given.items()
            if is_nothing(getattr(self, name)) and (before is not None or _came_by_mapping(self, name))
        ]
        if lost:
            self._lost = (*self._lost, *lost)

    def _refuse_lost(self) -> None:
        """
        Stop where an argument came to nothing.

        :raises AirflowFailException: names it.
        """
        if self._lost:
            raise AirflowFailException(" ".join(dict.fromkeys(self._lost)))


def _came_by_mapping(task: Any, name: str) -> bool:
    """Tell whether an upstream task gave a mapped task's argument: mapping puts values in place before anything is rendered."""
    if not getattr(task, "_BaseOperator__from_mapped", False):
        return False
    mapped = task.dag.task_dict[task.task_id]
    source = mapped.expand_input.value
    if isinstance(source, Mapping):
        return _is_resolved(source.get(name))
    if not _is_resolved(source) and not any(map(_is_resolved, source)):
        return False
    if name in mapped.partial_kwargs:
        return mapped.partial_kwargs[name] is not None
    # What was given, and not what is so by default, Airflow alone has kept.
    return name in getattr(task, "_BaseOperator__init_kwargs", {})


def _is_resolved(value: object) -> bool:
    """Tell whether Airflow asks a value for what it stands for, as it does with upstream tasks' results."""
    return hasattr(value, "resolve")
