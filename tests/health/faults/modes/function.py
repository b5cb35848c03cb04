"""H: the Edge Function and the gateway before it."""

from tests.health.actions import answers, answers_again, claim, sql, steps
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.support import keys
from tests.support.health import Project

WRITTEN = "the answer is written into pg_net's table"
_BODY_THAT_IS_NO_TEXT = b'{"name":"M\xfcller"}\xff\x00\xfe'


def _guarded(project: Project) -> None:
    """Let the function refuse whoever has not the stored key."""
    key = project.value("select secret from public.pg_cron_secrets where name = 'service_role_key'")
    project.stub.judge = lambda request: 200 if request.headers.get("authorization") == f"Bearer {key}" else 401


def _redeployed(project: Project) -> None:
    project.store(service_role_key=keys.secret())
    answers_again(project)
    answers(401, {"msg": "Missing authorization header"}, "UNAUTHORIZED_NO_AUTH_HEADER")(project)


def key_again(project: Project) -> None:
    """Store the legacy key that other modes begin with."""
    project.store(service_role_key=keys.legacy())
    answers_again(project)


def _answered(
    id: str,
    fault: str,
    names: str,
    answer: tuple[int, object, str | None],
    says: str,
    reason: str = "",
    *,
    is_real: bool = False,
) -> AnyMode:
    if is_real:
        return ServerMode(id, fault, names, answers(*answer), says=says, reason=reason, undo=answers_again)
    return Mode(id, fault, names, answers(*answer), says=says, reason=reason, undo=answers_again, simulated=WRITTEN)


def _refused(id: str, fault: str, status: int, body: object, code: str | None, *, is_real: bool = False) -> AnyMode:
    says = f"refused with {status} {code}" if code else f"refused with {status}"
    return _answered(id, fault, "function_accepts_key", (status, body, code), says, is_real=is_real)


def _missing(id: str, fault: str, status: int, body: object, code: str | None) -> AnyMode:
    return Mode(
        id, fault, "function_deployed", answers(status, body, code), says=str(status), undo=answers_again,
        reason="this_machine", simulated=WRITTEN,
    )  # fmt: skip


def _failing(
    id: str,
    fault: str,
    status: int,
    body: object,
    code: str | None,
    says: str,
    reason: str = "",
    *,
    is_real: bool = False,
) -> AnyMode:
    return _answered(id, fault, "function_succeeds", (status, body, code), says, reason, is_real=is_real)


MODES: tuple[AnyMode, ...] = (
    _refused(
        "H1",
        "the gateway sees no authorization",
        401,
        {"msg": "Missing authorization header"},
        "UNAUTHORIZED_NO_AUTH_HEADER",
    ),
    _refused(
        "H2", "the gateway refuses a legacy JWT", 401, {"msg": "Invalid JWT"}, "UNAUTHORIZED_LEGACY_JWT", is_real=True
    ),
    _refused(
        "H3",
        "the gateway does not know the token's algorithm",
        401,
        {"msg": "Unsupported JWT algorithm"},
        "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM",
    ),
    _refused("H4", "the token is no JWT", 401, {"msg": "Invalid JWT"}, "UNAUTHORIZED_INVALID_JWT_FORMAT"),
    _refused("H5", "the function itself refuses the caller", 403, {"error": "forbidden"}, None),
    _missing("H6", "the function is not deployed", 404, {"message": "Requested function was not found"}, "NOT_FOUND"),
    _missing("H7", "the function's bundle is gone", 404, {"message": "not found"}, "NOT_FOUND_FUNCTION_BLOB"),
    _failing("H8", "the function takes no POST", 405, {"error": "method not allowed"}, None, "405"),
    _failing(
        "H9",
        "the function throws",
        500,
        {"error": "column nope does not exist"},
        "EDGE_FUNCTION_ERROR",
        "column nope",
        is_real=True,
    ),
    _failing(
        "H10",
        "the function does not start",
        503,
        {"message": "failed to start"},
        "BOOT_ERROR",
        "503 BOOT_ERROR",
        "boot",
    ),
    Mode(
        "H11",
        "the platform gives the function up",
        "function_answers_in_time",
        answers(504, {"message": "idle timeout"}, "IDLE_TIMEOUT"),
        says="504 IDLE_TIMEOUT",
        reason="gateway",
        undo=answers_again,
        simulated=WRITTEN,
    ),
    _failing(
        "H12",
        "the function exceeds its limits",
        546,
        {"message": "CPU time"},
        "WORKER_LIMIT",
        "546 WORKER_LIMIT",
        "limits",
    ),
    _failing(
        "H13",
        "the function answers 200 and says that it failed",
        200,
        {"ok": False, "error": "nope"},
        None,
        "nope",
        is_real=True,
    ),
    _failing("H14", "functions call each other too often", 429, {"message": "slow"}, "RATE_LIMIT_EXCEEDED", "429"),
    _failing(
        "H15", "the organization is over its quota", 402, {"message": "quota exceeded"}, None, "quota exceeded", "quota"
    ),
    _failing("H16", "the function hands on a status that is none", 500, {}, "INVALID_RESPONSE_STATUS_CODE", "500"),
    Mode(
        "H17",
        "a deploy switched the gateway's check on again",
        "function_accepts_key",
        _redeployed,
        says="refused with 401 UNAUTHORIZED_NO_AUTH_HEADER",
        reason="verify_jwt",
        undo=key_again,
        simulated=WRITTEN,
    ),
    Mode(
        "H18",
        "service_role may not read the schedules",
        "service_role_can_use_schedules",
        sql("revoke all on public.auto_sync_schedules from service_role"),
        says="service_role may not select, update it",
        repairable=True,
    ),
    Mode(
        "H19",
        "the function claimed a schedule, answered 200 and never finished",
        "schedules_not_overdue",
        steps(
            claim("now() - interval '2 days'", "now() - interval '1 day'", next_run_at="now() - interval '100 days'"),
            answers_again,
        ),
        simulated="the claim is written into the schedule",
        says="1 schedules are due and were not run",
        undo=sql("delete from public.auto_sync_schedules"),
    ),
    Mode(
        "H20",
        "the function answers everybody",
        "function_rejects_strangers",
        answers_again,
        says="to a call with no credential: anybody can run it",
        probe=True,
        undo=_guarded,
    ),
    _failing(
        "H21", "the function's own secrets are missing", 500, {"error": "SUPABASE_URL is not set"}, None, "is not set"
    ),
)
ODD_BODY = ServerMode(
    "F20",
    "the function fails with a body that is no text",
    "function_succeeds",
    answers(500, _BODY_THAT_IS_NO_TEXT),
    says="failed in the function",
    undo=answers_again,
)
