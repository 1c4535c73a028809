"""What Airflow may show of an audience, or of what one is made from: how many, and a few of them masked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Self

from airflow_provider_caixin.session.guards import Guarded

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

_SAMPLES = 3
# As many digits as a number has, in whatever spelling.
_DIGITS = 11


class Recipients:
    """
    The rendered ``mobiles`` of a task.

    Airflow stores the value of every template field in its database, rebuilding lists item by item, but asks an object that
    has ``serialize`` what to store.

    :param value: the numbers as they were given; only ``execute`` takes them out again.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    @classmethod
    def cover(cls, value: Any) -> Self:
        """
        Cover a rendered value, unless it is covered.

        :param value: the value.
        """
        return value if isinstance(value, cls) else cls(value)

    def serialize(self) -> str:
        """Describe the numbers as a count and masked samples."""
        # Here and not above: Dag files import this module, and the audience package reads its number data.
        from airflow_provider_caixin.audience import AudienceError, audience_from, mask, normalise

        value = self.value
        if isinstance(value, (str, int, float)):
            try:
                value = list(audience_from(value))
            except AudienceError:
                value = None
        if not isinstance(value, Collection) or isinstance(value, (bytes, bytearray, Mapping)):
            return f"a {type(self.value).__name__}"
        numbers = [normalise(item) for item in islice(value, _SAMPLES)]
        samples = [mask(number) if number else "***" for number in numbers]
        if len(value) > _SAMPLES:
            samples.append("...")
        count = f"{len(value)} number{'' if len(value) == 1 else 's'}"
        return f"{count}: {', '.join(samples)}" if samples else count

    def __repr__(self) -> str:
        return f"<{self.serialize()}>"


class Covering(Guarded):
    """What has template fields that hold numbers: Airflow stores and logs a count of them and masked samples."""

    # Those fields, and what covers them for Airflow.
    _covers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"mobiles": Recipients.cover}

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Any,
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render as ever, but the covered fields here."""
        if parent is self:
            for name, cover in self._covers.items():
                if getattr(self, name) is not None:
                    setattr(self, name, cover(self._rendered(name, context, jinja_env, seen_oids)))
            template_fields = [name for name in template_fields if name not in self._covers]
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)


class Argument:
    """
    A rendered argument of a function that makes an audience: it may be numbers, too, or hold some.

    :param value: the argument.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    @classmethod
    def cover(cls, values: Any) -> Any:
        """
        Cover a function's rendered arguments, each by itself.

        :param values: a sequence of them, or a mapping by name.
        """
        if isinstance(values, Mapping):
            return {name: cls._of(value) for name, value in values.items()}
        return [cls._of(value) for value in values]

    @classmethod
    def _of(cls, value: Any) -> Any:
        return value if isinstance(value, cls) else cls(value)

    def serialize(self) -> Any:
        """Give a plain value that is too short to hold a number, and of any other what it is."""
        value = self.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (str, int, float)) and sum(map(str.isdigit, str(value))) < _DIGITS:
            return value
        size = f" of {len(value)}" if isinstance(value, Collection) and not isinstance(value, str) else ""
        return f"a {type(value).__name__}{size}"

    def __repr__(self) -> str:
        return f"<{self.serialize()}>"


def uncovered(value: Any) -> Any:
    """
    Take the cover off a rendered value, where it has one.

    :param value: the value.
    """
    return value.value if isinstance(value, (Recipients, Argument)) else value
