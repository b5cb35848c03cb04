"""function_answers_in_time: an answer after the timeout is a fault of time, not of the network."""

from pathlib import Path

import pytest

from autosync_db.jobs.calls import Cause
from tests.support.health import NEVER, Project


def test_slow_function_is_the_root_cause_until_the_timeout_is_raised(project: Project) -> None:
    project.owner.execute("update autosync.job set timeout_milliseconds = 1000")
    project.stub.answer(200, delay_seconds=1.6)
    assert project.call() is Cause.SLOW
    project.must_fail("function_answers_in_time", names="1 of the last 2 calls got no answer in time")
    project.must_be_blocked("function_deployed", "function_answers_in_time")
    project.must_be_blocked("function_succeeds", "function_answers_in_time")

    Path("autosync.toml").write_text(f'[job]\nschedule = "{NEVER}"\ntimeout = "20s"\n')
    project.run_command("setup")
    project.must_be_healthy()


def test_platform_that_gives_the_function_up_is_slow_too(project: Project) -> None:
    project.stub.answer(504, {"message": "idle timeout"}, "IDLE_TIMEOUT")
    assert project.call() is Cause.SLOW
    project.must_fail("function_answers_in_time", names="504 IDLE_TIMEOUT")


def test_slow_answer_within_the_timeout_is_in_time(project: Project) -> None:
    project.stub.answer(200, delay_seconds=1.2)
    assert project.call() is Cause.OK
    project.must_be_healthy()


def _timed_out_in(project: Project, phases: str) -> Cause:
    """Let the newest call have timed out with these times, in a project that had no other answer lately."""
    project.stop_worker()
    project.owner.execute("select autosync.dispatch()")
    project.admin.execute("delete from net.http_request_queue")
    project.admin.execute(
        "insert into net._http_response (id, timed_out, error_msg) select request_id, true, %s"
        " from autosync.invocation order by id desc limit 1",
        [f"Timeout of 30000 ms reached. Total time: 30001.5 ms ({phases})"],
    )
    project.start_worker()
    return Cause(project.value("select cause from autosync.recent_outcomes() limit 1"))


@pytest.mark.parametrize(
    ("dns", "handshake", "http", "cause"),
    [
        (4.1, 80.2, 29900.7, Cause.SLOW),
        (4.1, 29997.4, 0.0, Cause.NETWORK),
        (30001.5, 0.0, 0.0, Cause.NETWORK),
    ],
)
def test_phase_in_which_the_time_ran_out_decides(
    project: Project, dns: float, handshake: float, http: float, cause: Cause
) -> None:
    project.admin.execute("update net._http_response set created = created - interval '10 minutes'")
    phases = f"DNS time: {dns:f} ms, TCP/SSL handshake time: {handshake:f} ms, HTTP Request/Response time: {http:f} ms"
    assert _timed_out_in(project, phases) is cause


def test_connection_that_was_open_already_had_no_lookup(project: Project) -> None:
    """For a slow answer on such a connection pg_net counts all the time as lookup."""
    phases = "DNS time: 30001.5 ms, TCP/SSL handshake time: 0.0 ms, HTTP Request/Response time: 0.0 ms"
    assert _timed_out_in(project, phases) is Cause.SLOW
    project.must_fail("function_answers_in_time", names="over a connection that was open already")
