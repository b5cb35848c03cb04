"""What each role may reach of all that is installed; the page docs/reference/privileges.md is written from it."""

ROLES = ("anon", "authenticated", "service_role", "authenticator", "passer_by")
# role, object, ways, and why; whatever is not here is denied
_WINDOW = "timestamp with time zone,time without time zone,time without time zone,text"
_CALCULATION = "a calculation, which reads nothing"
ALLOWED = (
    ("service_role", "public.pg_cron_secrets", "select", "functions of the project read the secrets by the Data API"),
    ("service_role", "public.auto_sync_schedules", "select insert update delete", "functions keep the schedules"),
    ("service_role", "public.auto_sync_claim(integer,interval)", "execute", "the function claims what is due"),
    ("service_role", "public.auto_sync_complete(uuid,text,jsonb,uuid)", "execute", "the function ends a sync"),
    ("service_role", "public.auto_sync_report(uuid,text,jsonb)", "execute", "a function that answered at once reports"),
    ("service_role", "autosync", "usage", "claiming runs with the rights of its caller, and uses the three below"),
    ("service_role", f"autosync.window_is_open({_WINDOW})", "execute", _CALCULATION),
    ("service_role", f"autosync.window_opening({_WINDOW})", "execute", _CALCULATION),
    ("service_role", "autosync.first_instant(timestamp without time zone,text)", "execute", _CALCULATION),
)
