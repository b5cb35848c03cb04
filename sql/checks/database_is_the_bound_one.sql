-- database_is_the_bound_one: what autosync.binding_findings() says: critical when the stored address is that of another project
-- than this database is bound to, warning when it was bound on another server. A database that was never bound is not judged.
select f.status, f.object, f.detail, jsonb_build_object('database', current_database()) as facts
from autosync.binding_findings() as f
order by f.status, f.object
