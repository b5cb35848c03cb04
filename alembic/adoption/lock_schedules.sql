-- lock_schedules: whoever may write a table of schedules that was there waits from here on; who reads it does not.
do $lock$
begin
    if to_regclass('public.auto_sync_schedules') is not null then
        lock table public.auto_sync_schedules in share row exclusive mode;
    end if;
end
$lock$
