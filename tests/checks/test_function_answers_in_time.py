"""function_answers_in_time: an answer after the timeout is a fault of time, not of the network."""

from pathlib import Path

from autosync_db.outcome import Cause
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
