"""What every flow begins with."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from prefect.logging import disable_run_logger
from prefect.states import Completed, Failed
from prefect_aws.credentials import AwsCredentials
from prefect_aws.s3 import S3Bucket
from pydantic import SecretStr

from blocks import AmplitudeCredentials, AmplitudePipeline
from core.errors import InvalidInput, LakeRefused
from core.timing import Span, Timed
from flows.opening import courtesy, open_block, outcome, patiently, utc_now
from tasks.plan_windows import plan_windows


def test_now_is_aware_and_in_utc() -> None:
    assert utc_now().utcoffset() == timedelta(0)


def test_a_patient_task_is_another_one() -> None:
    assert patiently(plan_windows, 0).retry_delay_seconds == [0, 0]
    assert plan_windows.retry_delay_seconds == [30, 120]


def test_the_outcome_of_a_task_is_its_receipt_or_an_error_of_ours() -> None:
    receipt, error = Timed("done", Span(0, 1)), LakeRefused("no")
    assert outcome(Completed(data=receipt)) == (receipt, None)
    assert outcome(Failed(data=error)) == (None, error)


def test_a_foreign_error_is_nobodys_outcome() -> None:
    with pytest.raises(KeyError, match="events"):
        outcome(Failed(data=KeyError("events")))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [AmplitudePipeline, AmplitudeCredentials])
def test_a_block_that_is_not_there_is_named_with_the_command_that_makes_it(
    kind: type[AmplitudePipeline | AmplitudeCredentials],
) -> None:
    with pytest.raises(InvalidInput) as raised:
        open_block(kind, "nobody")
    assert f"There is no {kind.get_block_type_slug()} block 'nobody'" in str(raised.value)
    assert "python -m blocks.register --name nobody" in str(raised.value)


@pytest.mark.slow
def test_a_block_that_does_not_fit_this_release_is_told_likewise_without_its_secrets() -> None:
    amplitude = AmplitudeCredentials(api_key=SecretStr("hidden"), secret_key=SecretStr("hidden"))
    bucket = S3Bucket(bucket_name="lake", credentials=AwsCredentials())
    older = AmplitudePipeline(amplitude=amplitude, bucket=bucket)
    object.__setattr__(older, "window_hours", 99_999)  # another release had other limits
    older.save("of-another-release")
    with pytest.raises(InvalidInput, match=r"blocks\.register --name of-another-release") as raised:
        open_block(AmplitudePipeline, "of-another-release")
    assert "does not fit this release" in str(raised.value)
    assert "hidden" not in str(raised.value)


# What is only to be looked at


def test_what_prefect_does_not_take_costs_a_warning_and_nothing_else() -> None:
    gone = httpx.ConnectError("nobody there")
    with disable_run_logger(), courtesy("The run's name"):
        raise gone


def test_a_defect_is_no_courtesy() -> None:
    with pytest.raises(ZeroDivisionError), courtesy("The run's name"):
        _ = 1 / 0
