-- secrets: since when the secrets that calls and receivers need are stored as they are; names and times, at most 100.
select s.name as subject, jsonb_build_object('changed_at', extract(epoch from coalesce(s.updated_at, s.created_at))) as facts
from autosync.stored_secrets() as s
where autosync.secrets_hidden() is null
    and (
        exists (
            select from chosen_jobs as c
            join autosync.job as j on j.id = c.id
            where s.name = any (autosync.needed_secrets(j.name))
        )
        or exists (select from autosync.alert_receiver as r where r.secret_name = s.name)
    )
order by s.name
limit 100
