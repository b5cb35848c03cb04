"""P13: whoever is to be notified of faults does not get it."""

from autosync_db.health.model import Status
from tests.health.actions import Action, sql, steps
from tests.health.faults.mode import AnyMode, Mode
from tests.support.health import Project

_AWAY = sql(
    "truncate autosync.alert, autosync.alert_receiver", "delete from public.pg_cron_secrets where name ~ '^alert_'"
)


def receiver(*messages: str, kind: str = "slack", has_address: bool = True, job: int | None = None) -> Action[Project]:
    """Return what sets a receiver up, with messages that came to these ends, the newest last."""

    def act(project: Project) -> None:
        if has_address:
            project.owner.execute(
                "insert into public.pg_cron_secrets (name, secret) values (%s, 'https://receiver.example/x')",
                [f"alert_{kind}"],
            )
        project.owner.execute(
            "insert into autosync.alert_receiver (kind, form, job_id, secret_name) values (%s, 'get', %s, %s)",
            [kind, job, f"alert_{kind}"],
        )
        for outcome in messages:
            project.owner.execute(
                "insert into autosync.alert (receiver_id, event, outcome, attempts, created_at, settled_at,"
                " error_message) select r.id, 'fault', %s, 12, clock_timestamp() - interval '1 hour',"
                " clock_timestamp(), 'the receiver answered 404' from autosync.alert_receiver as r",
                [outcome],
            )

    return act


MODES: tuple[AnyMode, ...] = (
    Mode(
        "P13a",
        "a receiver of messages was deleted at its service",
        "alerts_delivered",
        receiver("given_up"),
        Status.WARNING,
        says="slack of all jobs: its message since",
        undo=_AWAY,
        simulated="the message is written into the table of messages",
    ),
    Mode(
        "P13b",
        "the address of a heartbeat was deleted by SQL",
        "alerts_delivered",
        receiver(kind="heartbeat", has_address=False),
        says='its address, the secret "alert_heartbeat", is missing',
        undo=_AWAY,
    ),
    Mode(
        "P13c",
        "a job was removed and its receiver was not",
        "alerts_delivered",
        receiver("delivered", job=4711),
        Status.WARNING,
        reason="orphaned",
        says="speaks of nothing any more",
        undo=_AWAY,
    ),
    Mode(
        "P13d",
        "the database cannot decide what to say",
        "alerts_delivered",
        steps(
            receiver(),
            sql("insert into autosync.setting (name, value) values ('alerts_error', '\"could not send messages: x\"')"),
        ),
        reason="error",
        says="messages: could not send messages: x",
        undo=steps(_AWAY, sql("delete from autosync.setting where name = 'alerts_error'")),
        simulated="the error is written where housekeeping writes it",
    ),
)
