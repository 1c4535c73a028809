"""The time limit of a route: it blocks in a thread of the page's own, for no longer than someone waits."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import Any, Final, ParamSpec, TypeVar

from airflow_provider_caixin.ledger import LedgerError
from airflow_provider_caixin.ledger.errors import CampaignPurged, CancelledForGood, NoSuchCampaign
from airflow_provider_caixin.page.problems import Kind, Problem, no_such_campaign

log = logging.getLogger(__name__)

LIMIT_SECONDS: Final = 15.0
# Not those of the api-server: a ledger that hangs must not take Airflow's own routes with it.
_POOL: Final = ThreadPoolExecutor(8, thread_name_prefix="caixin-page")

P = ParamSpec("P")
T = TypeVar("T")


def time_limited(kind: Kind) -> Callable[[Callable[P, T]], Callable[P, Coroutine[Any, Any, T]]]:
    """Run the function of a route, which blocks, in a thread, and answer in time whatever becomes of it.

    :param kind: what it waits for, ``"ledger"`` or ``"gateway"``.
    """

    def decorate(work: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(work)
        async def route(*args: P.args, **kwargs: P.kwargs) -> T:
            call = partial(contextvars.copy_context().run, partial(_answer, work), *args, **kwargs)
            try:
                return await asyncio.wait_for(
                    asyncio.get_running_loop().run_in_executor(_POOL, call), LIMIT_SECONDS
                )
            except TimeoutError:
                raise Problem(
                    504, kind, f"The {kind} did not answer within {LIMIT_SECONDS:g} s: try again later."
                ) from None

        # Resolved here, where the names of the annotations are known.
        route.__signature__ = inspect.signature(work, eval_str=True)  # type: ignore[attr-defined]  # FastAPI reads it
        return route

    return decorate


def _answer(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call the function, and turn whatever goes wrong into a sentence."""
    try:
        return work(*args, **kwargs)
    except Problem:
        raise
    except NoSuchCampaign:
        raise no_such_campaign() from None
    except (CampaignPurged, CancelledForGood) as error:
        raise Problem(409, "refused", str(error)) from None
    except LedgerError as error:
        log.info("The Caixin page: %s", error)
        raise Problem(503, "ledger", str(error)) from None
    except Exception:
        log.exception("The Caixin page could not answer.")
        raise Problem(
            500, "internal", "Something went wrong here; the log of Airflow's api-server says what."
        ) from None
