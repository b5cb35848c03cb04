"""The commands as `autosync-db --help` lists them, by section, in the order of a first day.

A new command is a module of its name in this folder, and a line here: the first line of its help.
"""

# another word for a command, understood and not listed
ALIASES = {"job": "jobs"}

COMMANDS = {
    "Begin": {
        "local": "Run the whole chain on this machine, without an account.",
        "init": "Write autosync.toml with every setting at its default.",
        "scaffold": "Write files for your own repository.",
        "plan": "Show what setup would change: jobs to create, change or pause, and jobs that are not in the file.",
        "setup": "Set up a project: migrate, store the secrets, schedule the job, make a real call, verify.",
    },
    "Look": {
        "verify": "Check whether the chain really works; if not, say why and how to fix it.",
        "status": "Show revision, job, last tick with its real outcome, next tick, and schedules due and overdue.",
        "runs": "List the newest calls with their real outcome, newest first.",
        "watch": "Show live, until you quit: the verdict, the jobs, the newest calls as they settle, and what is due.",
        "report": "Write one page for a browser: the verdict, a week of every job's calls, what is next.",
        "explain": "Print the page of a check or of a topic.",
        "audit": "Show what each cron job of a database calls, whether it works, and if not, why.",
        "cost": "Estimate calls per month by job, compare them with the plan's quota, and show what would reduce them.",
    },
    "Operate": {
        "jobs": "List, show, trigger, pause, change, remove or take over the scheduled jobs.",
        "schedules": "List, show, run, add, change, remove or preview schedules.",
        "secrets": "List, set, delete and scan for secrets; values are never shown.",
        "rotate": "Replace the service key: check that the function accepts the new one, store it, make a real call.",
        "alerts": "Set who is notified when a job fails, and where heartbeats go; test and list receivers.",
        "repair": "Fix what verify finds, root causes first, each in one transaction; then verify again.",
    },
    "Schema": {
        "migrate": "Bring the database to a revision, in one transaction.",
        "export": "Write the schema as migrations of another tool.",
        "rollback": "Downgrade the database to a revision, in one transaction.",
        "teardown": "Remove everything that was made here, and restore what was there before.",
    },
}
