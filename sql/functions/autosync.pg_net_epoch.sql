-- pg_net_epoch(): what stays the same while the tables and ids of pg_net are continuous; null where nothing was posted yet.
-- requires: 0005
-- A token in an unlogged table: a crash empties it together with the tables of pg_net, a clean restart keeps all of them.
-- And the oid of pg_net's queue, which changes when the extension is dropped and created again. The file of the ids changes when they
-- are restarted (truncate … restart identity, alter sequence … restart); it is named only then, for at first it bears the oid's number.
create or replace function autosync.pg_net_epoch()
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select e.token || ':' || cast(cast(to_regclass('net.http_request_queue') as oid) as text)
            || coalesce(':' || cast(nullif(pg_relation_filenode(s.ids), cast(s.ids as oid)) as text), '')
        from autosync.epoch as e
        cross join (select to_regclass('net.http_request_queue_id_seq') as ids) as s
    );
end
$$;

revoke all on function autosync.pg_net_epoch() from public;

comment on function autosync.pg_net_epoch() is 'what stays the same while the tables and ids of pg_net are continuous';
