"""O: what verify takes an answer for, in situations of public reports."""

from tests.health.actions import Action, answers, answers_again, steps
from tests.health.faults.mode import AnyMode, Mode
from tests.health.faults.modes.function import WRITTEN
from tests.support.health import Project

_NGINX = "<html><head><title>502 Bad Gateway</title></head><body><center>nginx/1.25.3</center></body></html>"
_APP = '<!doctype html><html lang="en"><head><title>App</title></head><body><div id="root"></div></body></html>'
_RULE = {"message": 'new row violates row-level security policy for table "orders"'}
_SLIPS = [{"ok": False, "error": "no token"}, {"ok": False, "error": "no token"}]


def _with_headers(status: int, body: object, headers: dict[str, str]) -> Action[Project]:
    def act(project: Project) -> None:
        project.stub.answer(status, body)
        project.stub.headers = headers
        project.tick()

    return act


def _cron_secret(project: Project) -> None:
    """Let the function know its caller by a secret of ours, which a gateway before it does not."""
    project.store(cron_secret="c" * 43)
    project.owner.execute(
        "insert into autosync.setting (name, value) values ('function_auth', jsonb_build_object(%s::text,"
        " 'cron_secret')) on conflict (name) do update set value = excluded.value",
        [project.job_name],
    )


def _answered(
    id: str,
    fault: str,
    names: str,
    status: int,
    body: object,
    says: str,
    code: str | None = None,
    *,
    reason: str = "",
    long: bool = False,
) -> AnyMode:
    inject = answers(status, body, code)
    return Mode(id, fault, names, inject, says=says, reason=reason, undo=answers_again, simulated=WRITTEN, long=long)


MODES: tuple[AnyMode, ...] = (
    _answered(
        "O2",
        "200, and all that it counts failed",
        "function_succeeds",
        200,
        {"succeeded": 0, "failed": 2},
        '200 (it says itself that it failed) {"succeeded": 0, "failed": 2}',
    ),
    _answered(
        "O2b",
        "200, with an error beside the data",
        "function_succeeds",
        200,
        {"data": None, "error": {"code": "42P01", "message": 'relation "orders" does not exist'}},
        'relation \\"orders\\" does not exist',
    ),
    _answered(
        "O2c",
        "200, and the failure stands one level down",
        "function_succeeds",
        200,
        {"requestId": 7, "result": {"success": False, "reason": "quota"}},
        "it says itself that it failed",
        long=True,
    ),
    _answered(
        "O2d",
        "200, and each of its results failed",
        "function_succeeds",
        200,
        {"results": _SLIPS},
        "it says itself that it failed",
        long=True,
    ),
    _answered(
        "O3",
        "200, and a single-page app",
        "function_reached",
        200,
        _APP,
        "a web page answered, not the function",
        reason="page",
    ),
    Mode(
        "O3b",
        "an old deployment is gone, and its host says so",
        "function_reached",
        _with_headers(
            404, "The deployment could not be found on Vercel.\n\nDEPLOYMENT_NOT_FOUND", {"server": "Vercel"}
        ),
        says="404 (",
        reason="page",
        undo=answers_again,
        simulated=WRITTEN,
        long=True,
    ),
    Mode(
        "O3c",
        "a firewall asks whether the caller is human",
        "function_reached",
        _with_headers(403, "<!doctype html><title>Just a moment...</title>", {"cf-mitigated": "challenge"}),
        says="cloudflare",
        reason="firewall",
        undo=answers_again,
        simulated=WRITTEN,
        long=True,
    ),
    _answered(
        "O4",
        "legacy keys are switched off",
        "function_accepts_key",
        401,
        {"message": "Legacy API keys are disabled"},
        "Legacy API keys are disabled",
        reason="legacy_disabled",
    ),
    _answered(
        "O4b",
        "the key that is refused is that of another service",
        "function_succeeds",
        401,
        {"error": "Stripe: Invalid API Key provided: sk_live_***"},
        "Stripe: Invalid API Key provided",
    ),
    _answered(
        "O4c", "403 of a rule that no key changes", "function_succeeds", 403, _RULE, "row-level security", long=True
    ),
    _answered(
        "O5",
        "a self-hosted gateway finds no function to send to",
        "function_reached",
        503,
        {"message": "name resolution failed"},
        "the function never ran",
    ),
    _answered(
        "O5b",
        "a proxy's own 502",
        "function_reached",
        502,
        _NGINX,
        "nginx",
        long=True,
    ),
    _answered(
        "O5c",
        "a proxy without a healthy upstream",
        "function_reached",
        503,
        "no healthy upstream",
        "envoy",
        long=True,
    ),
    _answered(
        "O6",
        "a self-hosted gateway has no route for functions",
        "function_reached",
        404,
        {"message": "no Route matched with those values"},
        "has no route",
        reason="no_route",
    ),
    _answered(
        "O6b",
        "another proxy without a route",
        "function_reached",
        404,
        "404 page not found\n",
        "traefik",
        reason="no_route",
        long=True,
    ),
    _answered(
        "O16",
        "PostgREST does not know a function that a migration made",
        "function_succeeds",
        500,
        {"code": "PGRST202", "message": "Could not find the function public.auto_sync_claim in the schema cache"},
        "PGRST202",
        reason="schema_cache",
    ),
    _answered(
        "O16b",
        "PostgREST does not know a column",
        "function_succeeds",
        200,
        {"error": {"code": "PGRST204", "message": "Could not find the 'claim_id' column in the schema cache"}},
        "PGRST204",
        reason="schema_cache",
        long=True,
    ),
    _answered(
        "O19",
        "the function takes the key named default alone",
        "function_accepts_key",
        401,
        {"error": "the secret key must be the one named default"},
        "the one named default",
        reason="default_key",
    ),
    Mode(
        "P9",
        "a gateway wants a key beside the cron secret",
        "function_accepts_key",
        steps(_cron_secret, answers(401, {"msg": "Missing authorization header"}, "UNAUTHORIZED_NO_AUTH_HEADER")),
        says="refused with 401 UNAUTHORIZED_NO_AUTH_HEADER",
        reason="gateway_key",
        undo=answers_again,
        simulated=WRITTEN,
    ),
    Mode(
        "P9b",
        "the function does not know the cron secret",
        "function_accepts_key",
        steps(_cron_secret, answers(401, {"error": "wrong x-autosync-cron-secret"})),
        says="wrong x-autosync-cron-secret",
        reason="cron_secret",
        undo=answers_again,
        simulated=WRITTEN,
        long=True,
    ),
)
