"""What errors mean to Airflow: whether a retry is good for anything."""

from __future__ import annotations

import itertools

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_caixin.audience import AudienceError
from airflow_provider_caixin.campaign import CampaignCancelled, CampaignInterrupted, FailureRatioReached
from airflow_provider_caixin.ledger import LedgerError, LedgerUnavailable
from airflow_provider_caixin.session.airflow_errors import as_airflow_errors, bad_arguments_fail
from airflow_provider_caixin.session.report_file import ReportError


def missing_file() -> AudienceError:
    """Make the error of an audience whose file is not there."""
    error = AudienceError("not there")
    error.__cause__ = FileNotFoundError()
    return error


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (CampaignCancelled("x"), False),
        (FailureRatioReached("x"), False),
        (CampaignInterrupted("x"), True),
        (AudienceError("x"), False),
        (missing_file(), True),
        (ReportError("x", lasting=True), False),
        (ReportError("x", lasting=False), True),
        (LedgerError("x"), False),
        (LedgerUnavailable("x"), True),
    ],
    ids=itertools.count(),
)
def test_whether_airflow_retries(error: Exception, retried: bool) -> None:
    """The sentence stays; only what may pass by itself is retried."""
    with pytest.raises(AirflowException) as raised, as_airflow_errors():
        raise error
    assert isinstance(raised.value, AirflowFailException) is not retried
    assert str(raised.value) == str(error)


def test_a_mistake_of_ours_is_no_sentence_for_airflow() -> None:
    """What nobody foresaw keeps its type and its traceback."""
    with pytest.raises(ZeroDivisionError), as_airflow_errors():
        raise ZeroDivisionError


def test_a_bad_argument_fails_without_a_retry() -> None:
    """Its ValueError says which one it is."""
    with pytest.raises(AirflowFailException, match="max_messages"), bad_arguments_fail():
        raise ValueError("max_messages -1")
