-- overdue: how many schedules of each chosen job that drains them are due for too long, as schedules_not_overdue says.
select c.name as job, o.schedules, o.oldest
from chosen_jobs as c
cross join lateral autosync.overdue_schedules(c.name) as o
where c.is_draining
