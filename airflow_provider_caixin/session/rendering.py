"""How template fields are rendered: what comes to nothing removes no guard, and no number is shown.

Only before the rendering can None that the Dag says be told from None that something came to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_caixin.compat import Templater
from airflow_provider_caixin.session.arguments import ARGUMENTS
from airflow_provider_caixin.session.masking import MaskedNumbers
from airflow_provider_caixin.session.readers import is_empty, is_path, sentence_of_empty

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

_RENDERED_HERE: Final = {
    name: one for name, one in ARGUMENTS.items() if one.is_guard or one.is_name or one.is_file
}


class GuardedTemplater(Templater):
    """What has template fields that are guards, names, files or numbers: an operator or a notifier."""

    # Fields that hold numbers, and what masks them for Airflow.
    _masks: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"mobiles": MaskedNumbers.of}
    # About fields that came to nothing: no error at once, because Airflow retries what fails while it
    # renders.
    _empty: tuple[str, ...] = ()

    def _refuse_empty(self) -> None:
        """Stop where an argument came to nothing.

        :raises AirflowFailException: names it.
        """
        if self._empty:
            raise AirflowFailException(" ".join(dict.fromkeys(self._empty)))

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Any,
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render as ever, but these fields here: mask some, and note which of the others came to nothing."""
        if parent is self:
            for name, mask in self._masks.items():
                if getattr(self, name) is not None:
                    setattr(self, name, mask(self._rendered(name, context, jinja_env, seen_oids)))
            ours = [name for name in _RENDERED_HERE if name in template_fields]
            for name in ours:
                given = getattr(self, name)
                value = self._rendered(name, context, jinja_env, seen_oids)
                setattr(self, name, value)
                known = _RENDERED_HERE[name]
                must_be = known.is_guard or known.is_name
                if must_be and is_empty(value) and (given is not None or _came_by_mapping(self, name)):
                    self._empty = (*self._empty, sentence_of_empty(name, value))
            template_fields = [name for name in template_fields if name not in {*ours, *self._masks}]
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    def _rendered(
        self, name: str, context: Context, jinja_env: jinja2.Environment, seen_oids: set[int]
    ) -> Any:
        """Render one field, a path as its text.

        Airflow 3.2 leaves the template in place where it renders to nothing, and 3.3 logs the whole of a
        value that it cannot render.
        """
        given = getattr(self, name)
        # Airflow renders its own paths, and nothing that an upstream task gave.
        if (
            name in _RENDERED_HERE
            and _RENDERED_HERE[name].is_file
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


def _came_by_mapping(task: Any, name: str) -> bool:
    """Return whether an upstream task gave a mapped task's argument: mapping fills it in before rendering."""
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
    """Return whether Airflow asks a value for what it stands for, as it does with upstream tasks' results."""
    return hasattr(value, "resolve")
