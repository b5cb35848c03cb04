-- project_address(job_name): the stored address of the project whose functions a job calls; raises where it may not be called.
-- requires: 0004
create or replace function autosync.project_address(job_name text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from autosync.job as j where j.name = project_address.job_name and j.function is not null) then
        return null;
    end if;
    perform autosync.check_binding();
    return autosync.read_secret('project_url');
end
$$;

revoke all on function autosync.project_address(text) from public;

comment on function autosync.project_address(text) is 'the address of the project whose function a job calls';
