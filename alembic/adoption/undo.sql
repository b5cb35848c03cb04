-- undo: bring back what was remembered for the revision in autosync.adopting, and forget it.
do $undo$
declare
    adopting constant text := current_setting('autosync.adopting');
    kept record;
begin
    for kept in select a.object, a.undo from autosync.adopted as a where a.revision = adopting order by a.step, a.id loop
        begin
            execute kept.undo;
        exception
            when dependent_objects_still_exist or insufficient_privilege or lock_not_available or query_canceled then
                raise;
            when others then
                -- the server's message alone does not say whose return it prevents
                raise exception '% cannot be given back: %', kept.object, sqlerrm
                    using errcode = sqlstate, hint = 'it is kept in autosync.adopted: put back what it needs, or delete its row there';
        end;
    end loop;
    delete from autosync.adopted as a where a.revision = adopting;
end
$undo$
