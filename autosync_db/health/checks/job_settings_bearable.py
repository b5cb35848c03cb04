"""What role and database set for every session lets the next run of the jobs end."""

from psycopg import sql

from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Take the settings back that the next run cannot bear."""
    found: list[Repair | Refusal] = []
    for facts in scene.findings:
        if "setting" not in facts:
            continue
        parts = [
            sql.SQL("role {}" if kind == "role" else "database {}").format(sql.Identifier(facts[kind]))
            for kind in ("role", "database")
            if facts[kind]
        ]
        statement = sql.SQL("alter {} reset {}").format(sql.SQL(" in ").join(parts), sql.Identifier(facts["setting"]))
        sentence = f"reset {facts['setting']} of " + " in ".join(
            f"the {kind} {facts[kind]}" for kind in ("role", "database") if facts[kind]
        )
        # somebody set it on purpose, for other sessions as well
        found.append(Repair(sentence, [statement], destructive=True, as_owner=scene.acts_as_owner))
    return found or [Refusal("a password's end is not changed from here", "alter role ROLE valid until 'infinity'")]


CHECK = Check(
    layer="job",
    claim="what role and database set for every session lets the next run of the jobs end",
    remedy="autosync-db repair job_settings_bearable",
    needs=("pg_cron_installed", "head_applied", "privileges_sufficient"),
    causes=("server_writable",),
    repair=_draft,
)
