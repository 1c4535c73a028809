"""``@task.caixin_send``: a campaign to the recipients that a function returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    DecoratedOperator,
    KeywordParameters,
    TaskDecorator,
    task_decorator_factory,
)

from airflow_provider_caixin.operators.caixin import CaixinSendOperator
from airflow_provider_caixin.session.masking import MaskedArgument, unmasked

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_caixin.audience import Audience
    from airflow_provider_caixin.session.arguments import Arguments


class CaixinSendDecoratedOperator(DecoratedOperator, CaixinSendOperator):
    """Send one template to the recipients that a function returns; in all else a :class:`CaixinSendOperator`.

    What the function returns is read as ``mobiles`` is: one number, a list, a generator. It goes into the
    ledger and stands nowhere else, neither as XCom nor as a rendered field. Of the function's arguments
    Airflow shows plain values too short to hold a number, and of the others the type.

    The function is called once for its campaign: a retry, or a task that comes back when the window opens,
    goes on with the recipients in the ledger. With other arguments or a changed body it is called again, and
    ``audience_change`` goes by what it returns. A dry run calls it each time.

    :param op_args: its positional arguments (templated).
    :param op_kwargs: its keyword arguments (templated).
    """

    custom_operator_name = "@task.caixin_send"
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(
            name
            for name in CaixinSendOperator.template_fields
            if name not in ("mobiles", "audience_file", "audience_column")
        ),
    )
    _masks: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "op_args": MaskedArgument.each,
        "op_kwargs": MaskedArgument.each,
    }

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        name = getattr(python_callable, "__name__", "the function")
        for source in ("mobiles", "audience_file", "audience_column"):
            if kwargs.get(source) is not None:
                raise ValueError(
                    f"{source} is given beside {name}(), which returns the audience; leave it out."
                )
        if inspect.iscoroutinefunction(python_callable) or inspect.isasyncgenfunction(python_callable):
            raise ValueError(f"{name}() is asynchronous: expected a function that returns its numbers.")
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    def _audience(self, given: Arguments, context: Context) -> Audience:  # noqa: ARG002  # the function is its source
        from airflow_provider_caixin.audience import digest_of

        args = [unmasked(value) for value in self.op_args]
        kwargs = {name: unmasked(value) for name, value in self.op_kwargs.items()}
        wanted = {**context, **kwargs}

        def call() -> Any:
            taken = KeywordParameters.determine(self.python_callable, args, wanted).unpacking()
            return self.python_callable(*args, **taken)

        fingerprint = digest_of([self._text(), args, kwargs])
        return FunctionAudience(call, fingerprint, f"{self.python_callable.__name__}()")

    def _text(self) -> str:
        """Return the function's text without decorator; its name if it has no text (interactive session)."""
        try:
            return str(self.get_python_source())  # type: ignore[no-untyped-call]
        except (OSError, TypeError):
            return f"{self.python_callable.__module__}.{self.python_callable.__qualname__}"


class FunctionAudience:
    """What a function returns, which is called when the rows are asked for.

    :param fingerprint: what it is known by: its text and arguments, not what it returns.
    """

    def __init__(self, call: Callable[[], Any], fingerprint: str, name: str) -> None:
        self._call = call
        self._name = name
        self.fingerprint = fingerprint
        self.single = False

    def __str__(self) -> str:
        """Name the function as messages do."""
        return self._name

    def __iter__(self) -> Iterator[object]:
        """Call the function; an AudienceError says that it returned what is no audience."""
        from airflow_provider_caixin.audience import audience_from

        audience = audience_from(self._call(), argument=self._name)
        self.single = audience.single
        return iter(audience)


def caixin_send_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool = False, **kwargs: Any
) -> TaskDecorator:
    """Make a task of a function that returns the audience of a campaign: ``@task.caixin_send(tpl_id=65535)``.

    :param multiple_outputs: keep each of the counts as an XCom of its own, too.
    :param kwargs: arguments of :class:`~airflow_provider_caixin.operators.caixin.CaixinSendOperator`.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=CaixinSendDecoratedOperator,
        **kwargs,
    )
