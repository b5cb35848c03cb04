-- fixes: bring values that our checks cannot accept to the nearest that behaves alike, and next_run_at where it is wrong.
--
-- A frequency below 1 was due at every tick, as 1 is. start = end was at most that one minute. A disabled schedule has no
-- next run; an enabled one without was never run, and is due like one that never ran.
-- With autosync.dry_run = on it changes nothing and leaves what it would do: [{"note", "count", "ids"}], at most 10 ids.
do $fixes$
declare
    -- is_remembered: whether a downgrade puts the value back
    fixes constant jsonb := '[
        {
            "which": "not frequency_minutes between 1 and 44640",
            "target": "frequency_minutes",
            "becomes": "least(greatest(frequency_minutes, 1), 44640)",
            "is_remembered": true,
            "note": "frequencies are brought to 1 to 44640 minutes"
        },
        {
            "which": "time_window_enabled and time_window_start = time_window_end",
            "target": "time_window_end",
            "becomes": "time_window_start + make_interval(mins => 1)",
            "is_remembered": true,
            "note": "windows with start = end become one minute wide"
        },
        {
            "which": "time_window_enabled and (time_window_start is null or time_window_end is null)",
            "target": "time_window_enabled",
            "becomes": "false",
            "is_remembered": true,
            "note": "half windows are turned off"
        },
        {
            "which": "not enabled and next_run_at is not null",
            "target": "next_run_at",
            "becomes": "null",
            "is_remembered": false,
            "note": "next runs of disabled schedules are cleared"
        },
        {
            "which": "enabled and next_run_at is null",
            "target": "next_run_at",
            "becomes": "greatest(last_run_at + make_interval(mins => least(greatest(frequency_minutes, 1), 44640)), now())",
            "is_remembered": false,
            "note": "enabled schedules that had no next run get one"
        }
    ]';
    is_dry constant boolean := current_setting('autosync.dry_run', true) is not distinct from 'on';
    planned jsonb := '[]';
    fix record;
    fixed bigint;
    ids text[];
begin
    if to_regclass('public.auto_sync_schedules') is null then
        return;
    end if;
    for fix in
        select f.*
        from jsonb_array_elements(fixes) with ordinality as e (value, position)
        cross join lateral jsonb_to_record(e.value) as f (
            which text, target name, becomes text, is_remembered boolean, note text
        )
        order by e.position
    loop
        if is_dry then
            execute format(
                'select count(*), (array_agg(s.id::text order by s.id::text))[1:10]'
                ' from public.auto_sync_schedules as s where %s', fix.which)
            into fixed, ids;
            if fixed > 0 then
                planned := planned || jsonb_build_object('note', fix.note, 'count', fixed, 'ids', ids);
            end if;
            continue;
        end if;
        if fix.is_remembered then
            execute format($remembered$
                with before as (
                    select s.id, s.%1$I as value from public.auto_sync_schedules as s where %2$s
                ),
                changed as (
                    update public.auto_sync_schedules as s set %1$I = %3$s
                    from before as b
                    where b.id = s.id
                    returning s.id, b.value as value_before, s.%1$I as value
                )
                insert into autosync.adopted (revision, step, object, undo)
                select '0003', 40, 'row ' || c.id, format(
                    'update public.auto_sync_schedules set %1$I = %%L where id = %%L and %1$I is not distinct from %%L',
                    c.value_before, c.id, c.value)
                from changed as c
                $remembered$, fix.target, fix.which, fix.becomes);
        else
            execute format('update public.auto_sync_schedules set %I = %s where %s', fix.target, fix.becomes, fix.which);
        end if;
        get diagnostics fixed = row_count;
        if fixed > 0 then
            raise warning 'public.auto_sync_schedules: % (rows: %)', fix.note, fixed;
        end if;
    end loop;
    perform set_config('autosync.fixes', planned::text, true);
end
$fixes$
