"""See what the parts of a gap-fill have brought."""

from __future__ import annotations

from collections.abc import Mapping

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.pipeline import AmplitudePipeline
from core.fan_out.gather import gather
from core.fan_out.runs import Ending, told_of
from core.fan_out.shares import Share
from core.gaps import GapPlan
from core.timing import Span
from core.transfer import Transfer
from core.wording import counted
from tasks.retries import BACKOFF_SECONDS, JITTER_FACTOR, RETRIES, worth_retrying


@task(
    task_run_name="gather {plan.wanted.name}",
    retries=RETRIES,
    retry_delay_seconds=BACKOFF_SECONDS,
    retry_jitter_factor=JITTER_FACTOR,
    retry_condition_fn=worth_retrying,
    cache_policy=NO_CACHE,
)
def gather_shares(
    pipeline: AmplitudePipeline, plan: GapPlan, endings: Mapping[Share, Ending], span: Span
) -> Transfer:
    """Read from the lake what the parts have brought, and name what they have not.

    Safe to repeat: it only reads.

    Args:
        span: When they were under way.

    Raises:
        LakeUnavailable: S3 did not answer or was busy. Transient.
        LakeRefused, LakeConflict: Credentials, bucket, or something foreign in the lake. Permanent.
    """
    transfer = gather(pipeline.open_lake(), plan, endings, rules=pipeline.rules, span=span)
    events, hours = counted(transfer.lake_events, "event"), counted(len(transfer.manifests), "hour")
    get_run_logger().info("%s: %s of %s, from %s", plan.wanted, events, hours, told_of(endings))
    return transfer
