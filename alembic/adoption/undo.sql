-- undo: bring back what was remembered for the revision in autosync.adopting, and forget it.
do $undo$
declare
    adopting constant text := current_setting('autosync.adopting');
    statement text;
begin
    for statement in select a.undo from autosync.adopted as a where a.revision = adopting order by a.step, a.id loop
        execute statement;
    end loop;
    delete from autosync.adopted as a where a.revision = adopting;
end
$undo$
