"""A project as it is found in the field: set up by migrations of its own, with an application around it."""

from pathlib import Path
from typing import Any

import psycopg

from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.support import clusters, keys

SCRIPT = Path(__file__).with_name("handmade.sql").read_text(encoding="utf-8")
# the two ways in which the secrets were protected
SECRETS_POLICIES = {
    "nobody": 'create policy "No access" on public.pg_cron_secrets for all using (false)',
    "service_role": 'create policy "Service role" on public.pg_cron_secrets for all to service_role using (true)',
}


def deploy(cluster: Cluster, *, key: Secret | None = None, url: str | None = None) -> None:
    """Set a blank cluster up the way that projects in the field were."""
    with clusters.connect(cluster, "supabase_admin") as admin:
        admin.execute("create table auth.users (id uuid primary key)")
        admin.execute("grant all on auth.users to postgres")
    with clusters.connect(cluster) as owner:
        owner.execute(SCRIPT.encode())
        owner.execute(SECRETS_POLICIES["nobody"].encode())
        store(owner, key or keys.legacy(ref=keys.PROJECT_REF), url or f"https://{keys.PROJECT_REF}.supabase.co")


def store(owner: psycopg.Connection[Any], key: Secret, url: str) -> None:
    """Store the two secrets, as somebody once did manually."""
    owner.execute("delete from public.pg_cron_secrets")
    owner.execute(
        "insert into public.pg_cron_secrets (name, secret) values ('project_url', %s), ('service_role_key', %s)",
        [url, key.reveal()],
    )
