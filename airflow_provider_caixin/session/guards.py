"""What only a Dag's own text may leave out: a value that renders to nothing removes no guard."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_caixin.compat import Templater

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

#: Arguments that keep people from being billed; of a template or an upstream task they take no nothing.
GUARDS: Final = ("dry_run", "max_messages", "expires_at", "suppress_file")
#: What such an argument says for "none": a text, because nothing is what a mistake comes to.
OFF: Final = "off"

# No guards, but with nothing in their place the campaign is another one, and the people those of another column.
_NAMES: Final = ("campaign_id", "audience_column")
_FILES: Final = ("audience_file", "suppress_file", "report_file")
_JUDGED: Final = tuple(dict.fromkeys((*GUARDS, *_NAMES, *_FILES)))


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
        """Render as ever, but these fields here, and note which came to nothing."""
        if parent is self:
            ours = [name for name in _JUDGED if name in template_fields]
            for name in ours:
                given = getattr(self, name)
                value = self._rendered(name, context, jinja_env, seen_oids)
                setattr(self, name, value)
                may_be_none = name in _FILES and name not in GUARDS
                came_to = is_nothing(value) and (given is not None or _came_by_mapping(self, name))
                if came_to and not may_be_none:
                    self._lost = (*self._lost, came_to_nothing(name, value))
            template_fields = [name for name in template_fields if name not in ours]
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    def _rendered(
        self, name: str, context: Context, jinja_env: jinja2.Environment, seen_oids: set[int]
    ) -> Any:
        """
        Render one field, a path as its text.

        Airflow 3.2 leaves the template in place where it renders to nothing, and 3.3 logs the whole of a value that it cannot render.
        """
        given = getattr(self, name)
        # Airflow renders its own paths, and nothing that an upstream task gave.
        if (
            name in _FILES
            and is_path(given)
            and not isinstance(given, ObjectStoragePath)
            and id(given) not in seen_oids
        ):
            given = str(given)
        try:
            if callable(given):
                return given(context=context, jinja_env=jinja_env)
            return self.render_template(given, context, jinja_env, seen_oids)
        except Exception as error:
            # The error itself is raised, and logged by whoever catches it.
            log.error("The template field %r cannot be rendered: %s", name, type(error).__name__)  # noqa: TRY400
            raise

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
