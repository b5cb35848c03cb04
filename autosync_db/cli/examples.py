"""Examples of every command, as its help shows them: what is typed, and what for; `make generate` writes them, too."""

_ID = "3f2a91c4"
_UUID = "3f2a91c4-5d0e-4b7a-9c1f-0a1b2c3d4e5f"
# where a command is too long for a terminal of 80 columns
_ON = " \\\n      "

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("local up", "try it here first: PostgreSQL, pg_cron and the functions, without an account"),
        ("init", "then write autosync.toml for your project"),
        ("setup", "install the chain and prove it by a real call"),
        ("verify", "whether it works, and if not, why not"),
    ),
    "init": (("init --project-ref abcdefghijklmnopqrst", "settings for a hosted project"),),
    "setup": (
        ("setup --target local", "the local stack, whose address and key are known"),
        (f"setup --project-ref abcdefghijklmnopqrst{_ON}--service-role-key-file key.txt", "a hosted project"),
    ),
    "plan": (
        ("plan", "what setup would change"),
        ("plan --check", "in CI: exit 5 when the file and the database differ"),
    ),
    "migrate": (
        ("migrate --dry-run", "what would be done"),
        ("migrate", "do it; safe to repeat"),
        ("migrate --check", "in CI: exit 5 when something is pending"),
    ),
    "rollback": (("rollback 0007 --dry-run", "what going back would delete"),),
    "teardown": (
        ("teardown --dry-run", "what would be removed and what would stay"),
        ("teardown --keep-data", "everything except public.auto_sync_schedules"),
    ),
    "export supabase": (("export supabase --dir supabase/migrations", "then: supabase db push"),),
    "scaffold function": (("scaffold function", "the functions, beside your own"),),
    "scaffold workflow": (("scaffold workflow", "migrate and verify in GitHub Actions"),),
    "scaffold monitoring": (("scaffold monitoring --dir monitoring", "rules, a dashboard and a timer to install"),),
    "verify": (
        ("verify", "root causes first, each with its remedy"),
        ("verify --wait 10m", "after the next tick and its answer"),
        ("verify --only job_active --skip neighbours -v", "some checks, each shown"),
        (f"verify --format prometheus{_ON}--output /var/lib/node_exporter/autosync.prom", "for the node exporter"),
    ),
    "audit": (("audit", "read-only, on a database where nothing is installed"),),
    "explain": (
        ("explain", "all checks and topics"),
        ("explain function_accepts_key", "why a check fails, and what to do"),
    ),
    "status": (
        ("status", "all jobs on one screen"),
        ("status --job daily-report --target production", "one job, on another target"),
    ),
    "runs": (
        ("runs", "the newest calls and their outcome"),
        ("runs --job daily-report -n 50", "more of one job"),
        ("runs show 1234", "one call with its answer and its times"),
    ),
    "watch": (
        ("watch", "live, until you quit"),
        ("watch --plain --for 10m", "a line for each call that settles, for ten minutes"),
    ),
    "report": (
        ("report -o health.html", "a page for the team; it needs no network"),
        (f"report --job daily-report --fail{_ON}--output daily.html", "one job; exit 3 if verify fails"),
    ),
    "cost": (("cost", "calls a month beside the plan's quota"),),
    "repair": (
        ("repair --dry-run", "the SQL that would be run"),
        ("repair job_active --yes", "one repair, without a question"),
    ),
    "rotate": (
        ("rotate --from-file key.txt", "a new service key, proven by a real call"),
        ("rotate --resume", "finish one that was interrupted"),
    ),
    "secrets list": (("secrets list", "what is stored, what is missing, when each last worked"),),
    "secrets set": (("secrets set partner_token --from-file token.txt", "- reads standard input"),),
    "secrets delete": (("secrets delete partner_token", "asks first if a job needs it"),),
    "secrets history": (("secrets history service_role_key", "who changed it, when and from where"),),
    "secrets scan": (("secrets scan .", "exit 3 when a key was pasted into a file"),),
    "secrets env": (("secrets env .env.functions", "then: supabase secrets set --env-file .env.functions"),),
    "jobs list": (("jobs list", "each job with its newest outcome"),),
    "jobs show": (("jobs show daily-report", "its settings, and its entry in pg_cron"),),
    "jobs trigger": (("jobs trigger daily-report", "a call now; exit 3 unless it succeeds"),),
    "jobs pause": (("jobs pause daily-report", "no tick until it is resumed"),),
    "jobs resume": (("jobs resume daily-report", ""),),
    "jobs reschedule": (("jobs reschedule '*/10 * * * *' daily-report", "in the database; change the file, too"),),
    "jobs remove": (("jobs remove daily-report", "asks first"),),
    "jobs preview": (("jobs preview daily-report -n 5", "its next five ticks"),),
    "jobs import": (
        ("jobs import", "tables of autosync.toml for the existing cron jobs"),
        ("jobs import --write", "add them to the file"),
    ),
    "jobs adopt": (("jobs adopt daily-report --dry-run", "what taking it over would do"),),
    "jobs release": (("jobs release daily-report", "restore it as it was"),),
    "alerts set": (
        ("alerts set slack --from-file webhook.txt", "messages for all jobs"),
        ("alerts set heartbeat --job daily-report", "a ping after each proven success; asks for the address"),
    ),
    "alerts list": (("alerts list", "who is notified, and whether it arrived"),),
    "alerts test": (("alerts test slack", "a message now; exit 3 unless it is accepted"),),
    "alerts delete": (("alerts delete slack", ""),),
    "schedules list": (
        ("schedules list --state overdue", "schedules that should have run"),
        ("schedules list --state failing", "what fails, and why"),
    ),
    "schedules show": ((f"schedules show {_ID}", "by the first characters of its id"),),
    "schedules run": ((f"schedules run {_ID}", "now; exit 3 if it fails"),),
    "schedules add": (
        (f"schedules add --integration {_UUID}{_ON}--every 15", "every 15 minutes"),
        (f"schedules add --integration {_UUID}{_ON}--window 22:00-02:00 --timezone Europe/Paris", "at night"),
    ),
    "schedules set": ((f"schedules set {_ID} --every 60 --window none", "hourly, all day"),),
    "schedules enable": ((f"schedules enable {_ID}", ""),),
    "schedules disable": ((f"schedules disable {_ID}", ""),),
    "schedules remove": ((f"schedules remove {_ID}", "asks first"),),
    "schedules preview": (
        (f"schedules preview --every 30{_ON}--window 22:00-02:00 --timezone Europe/Paris", "before it is added"),
    ),
    "local up": (("local up", "then: autosync-db setup --target local"),),
    "local demo": (("local demo", "from nothing to a proven call, and what to look at next"),),
    "local down": (("local down --purge", "and delete its data"),),
    "local status": (("local status", "what runs, and where"),),
    "local logs": (("local logs edge --follow", "the functions' log as it is written"),),
    "local tick": (("local tick", "do now what pg_cron does at its next tick"),),
}
