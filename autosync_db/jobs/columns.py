"""A job of the settings file as a row of autosync.job, and back."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from autosync_db.config import ExpectSettings, JobSettings, RetentionSettings, RetrySettings, SecretAuth

# what a job that was there before us keeps until a setting names it: key of the file, column
_OWN = {"function": "function", "schedule": "schedule", "timeout": "timeout_milliseconds", "auth": "auth"}

_SAME = (
    "name", "function", "url", "sql", "watch", "schedule", "method", "headers", "body", "drains", "invoke",
    "batch_size", "max_requests", "overlap", "reports_within", "enabled",
)  # fmt: skip


def of(job: JobSettings, retention: RetentionSettings) -> dict[str, Any]:
    """Return the row, its values as JSON has them; durations as PostgreSQL reads them."""
    auth, retry = job.auth, job.retry
    by_secret = auth if isinstance(auth, SecretAuth) else None
    return {
        "name": job.name,
        "function": job.function,
        "url": job.url,
        "sql": job.sql,
        "watch": job.watch,
        "schedule": job.schedule,
        "method": job.method,
        "headers": job.headers,
        "body": job.body,
        "auth": "secret" if by_secret else auth,
        "secret_name": by_secret and by_secret.secret,
        "secret_header": by_secret and by_secret.header,
        "secret_prefix": by_secret.prefix if by_secret else "",
        "timeout_milliseconds": int(job.timeout.total_seconds() * 1000),
        "drains": job.drains,
        "invoke": job.invoke,
        "batch_size": job.batch_size,
        "max_requests": job.max_requests,
        "overlap": job.overlap,
        "retry_attempts": retry.attempts if retry else 1,
        "retry_wait": _interval(retry.wait if retry else timedelta(seconds=30)),
        "expect": job.expect.model_dump(by_alias=True, exclude_unset=True) if job.expect else None,
        "reports_within": _interval(job.reports_within) if job.reports_within else None,
        "enabled": job.enabled,
        "keep_invocations": _interval(retention.invocations),
        "keep_run_details": _interval(retention.job_run_details),
    }


def kept(job: JobSettings) -> list[str]:
    """Return the columns that a job which was there before keeps, because no setting names them."""
    return [column for key, column in _OWN.items() if key not in job.model_fields_set]


def settings_of(row: Mapping[str, Any]) -> JobSettings:
    """Return what the file would say of a registered job; `row` has the columns with durations as timedelta."""
    auth = row["auth"]
    if auth == "secret":
        auth = SecretAuth.model_construct(
            secret=row["secret_name"], header=row["secret_header"], prefix=row["secret_prefix"]
        )
    expect = row["expect"]
    retry = RetrySettings.model_construct(attempts=row["retry_attempts"], wait=row["retry_wait"])
    return JobSettings.model_construct(
        set(),
        **{name: row[name] for name in _SAME},
        auth=auth,
        timeout=timedelta(milliseconds=row["timeout_milliseconds"]),
        retry=retry,
        expect=_expectation(expect) if expect else None,
    )


def retention_of(row: Mapping[str, Any]) -> RetentionSettings:
    """Return how long the history of a registered job is kept."""
    return RetentionSettings.model_construct(
        invocations=row["keep_invocations"], job_run_details=row["keep_run_details"]
    )


def _expectation(stored: Mapping[str, Any]) -> ExpectSettings:
    names = {"status": "status", "json": "json_"}
    return ExpectSettings.model_construct({names[key] for key in stored}, **{names[key]: stored[key] for key in stored})


def _interval(duration: timedelta) -> str:
    return f"{duration.days} days {duration.seconds} seconds {duration.microseconds} microseconds"


NAMES = tuple(of(JobSettings(name="any", watch=True), RetentionSettings()))
CHANGEABLE = tuple(name for name in NAMES if name != "name")
