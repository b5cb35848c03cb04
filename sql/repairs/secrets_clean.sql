-- secrets_clean: take off what was copied around the stored address and credentials, and the line breaks within; return how many
-- values were changed. No value leaves the server. What has other characters then is no key, and stays as it is.
select count(*) filter (where autosync.put_secret(c.name, c.cleaned))
from (
    select s.name, s.secret,
        regexp_replace(
            regexp_replace(
                regexp_replace(
                    -- what nobody sees; each kind of line break as one; each kind of blank as one
                    regexp_replace(s.secret, '[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]', '', 'g'),
                    '[\u000a-\u000d\u0085\u2028\u2029]', E'\n', 'g'
                ),
                '[\u0001-\u0009\u000e-\u001f\u007f-\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]', ' ', 'g'
            ),
            -- the name of a header and of its scheme, which are copied with a key
            '^[ \n]*((authorization|apikey) *: *)?(bearer *:?[ \n]+)?| *\n[ \n]*| +$', '', 'gi'
        ) as cleaned
    from autosync.stored_secrets() as s
    where s.name in ('project_url', 'service_role_key', 'cron_secret', 'gateway_key')
        or s.name in (select unnest(autosync.needed_secrets(j.name)) from autosync.job as j)
) as c
where c.secret ~ '[^!-~]' and c.cleaned ~ '^[!-~]+$';
