"""What a campaign's errors mean to Airflow: whether a retry is good for anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_caixin.audience import AudienceError
from airflow_provider_caixin.campaign import CampaignCancelled, CampaignError, CampaignFatal
from airflow_provider_caixin.juhe import AccountRefused, CaixinError, WrongEndpoint
from airflow_provider_caixin.ledger import LedgerError, LedgerUnavailable
from airflow_provider_caixin.session.report_file import ReportError


@contextmanager
def as_airflow_errors() -> Iterator[None]:
    """Translate errors whose text says all that is needed.

    :raises AirflowFailException: where a retry helps nothing before someone acted.
    :raises AirflowException: where it may help.
    """
    try:
        yield
    except (CampaignCancelled, CampaignFatal, AccountRefused, WrongEndpoint) as error:
        raise AirflowFailException(str(error)) from None
    except AudienceError as error:
        # A file that is not there may come; a column that is missing stays so.
        kind = AirflowException if isinstance(error.__cause__, OSError) else AirflowFailException
        raise kind(str(error)) from None
    except ReportError as error:
        raise (AirflowFailException if error.lasting else AirflowException)(str(error)) from None
    except (CampaignError, CaixinError, LedgerUnavailable) as error:
        raise AirflowException(str(error)) from None
    except LedgerError as error:
        raise AirflowFailException(str(error)) from None


@contextmanager
def bad_arguments_fail() -> Iterator[None]:
    """Fail without a retry, with the ValueError's sentence, where an argument or setting cannot be right."""
    try:
        yield
    except ValueError as error:
        raise AirflowFailException(str(error)) from None
