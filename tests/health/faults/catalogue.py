"""Every failure mode of the field by its letter: the ones that are injected here, and why the others are not."""

from tests.health.faults.mode import AnyMode
from tests.health.faults.modes import (
    access,
    alerts,
    beside,
    cron,
    function,
    further,
    job,
    migrations,
    net,
    network,
    platform,
    privileges,
    reports,
    retention,
    runs,
    schedules,
    secrets,
    server,
    verdicts,
)

_NUMBERED = {
    "A": 15, "B": 13, "C": 11, "D": 12, "E": 15, "F": 24, "G": 10, "H": 21, "I": 17, "J": 11, "K": 6, "L": 9, "M": 7,
    "N": 9,
}  # fmt: skip
LETTERS = {f"{layer}{number}" for layer, count in _NUMBERED.items() for number in range(1, count + 1)} | {"L3b"}
# situations of public reports and trials that the catalogue did not have: what verify says, and what stands beside us
REPORTED = {f"O{number}" for number in range(1, 21)} | {f"P{number}" for number in range(1, 14)}


def order(id: str) -> tuple[str, int, str]:
    """Sort letters by layer and number."""
    digits = "".join(character for character in id if character.isdigit())
    return id[0], int(digits), id


def kind(id: str) -> str:
    """Return the situation that a mode is a way to: a small letter behind the number tells ways apart."""
    return id if id in LETTERS else id.rstrip("abcdefgh")


ALL: tuple[AnyMode, ...] = (
    *server.MODES,
    *cron.MODES,
    *job.MODES,
    *runs.MODES,
    *secrets.MODES,
    *net.MODES,
    *network.MODES,
    *function.MODES,
    *schedules.MODES,
    *privileges.MODES,
    *retention.MODES,
    *migrations.MODES,
    *access.MODES,
    *platform.MODES,
    *verdicts.MODES,
    *reports.MODES,
    *beside.MODES,
    *further.MODES,
    *alerts.MODES,
)
# without those that have no letter
MODES: tuple[AnyMode, ...] = tuple(
    sorted((mode for mode in ALL if kind(mode.id) in LETTERS | REPORTED), key=lambda mode: order(mode.id))
)

_PREVENTED = "cannot happen here: "
_HARMLESS = "no fault, verify must keep silent: "
_HOSTED = "needs the hosted platform: "
_SAME = "the same fault as "

LEFT_OUT: dict[str, str] = {
    "B7": _HARMLESS + "the run is recorded as failed although it committed (test_no_false_alarm)",
    "B8": _HARMLESS + "a row of a process that is gone stops nothing (test_no_false_alarm)",
    "B11": "pg_cron up to 1.6.2 keeps DROP DATABASE waiting, which stops no tick and leaves no trace in its tables",
    "B12": "pg_cron 1.6.0 and 1.6.1 alone: their versions look like later ones, and */5 is not affected",
    "D9": _PREVENTED
    + "the command and every function pin what they mean (test_no_false_alarm changes the role's path)",
    "F13": _PREVENTED + "the ledger binds request ids to the server's epoch (tests/jobs/test_lost.py)",
    "F15": _PREVENTED + "the ledger measures from its own clock, not from pg_net's `created`",
    "F16": _PREVENTED + "call_headers() alone writes the header; a changed one is L7",
    "F22": _PREVENTED + "verify looks at the worker itself and never calls net.check_worker_is_up()",
    "F24": _PREVENTED + "no call is made in a prepared transaction, which pg_cron cannot run",
    "I7": _PREVENTED + "next_run_at is computed once a local date (tests/schedules/test_worked_dates.py)",
    "I8": _PREVENTED + "days are added on the local clock (tests/schedules/test_worked_dates.py)",
    "I9": _PREVENTED + "windows across midnight are windows (tests/schedules/test_trigger.py)",
    "I11": _PREVENTED + "schedules are claimed with SKIP LOCKED and a lease (tests/schedules/test_claim.py)",
    "I13": _HARMLESS + "all schedules are disabled (test_no_false_alarm)",
    "I14": _PREVENTED + "schedules have no days of the week",
    "I15": _PREVENTED + "every moment is a timestamptz",
    "I16": _PREVENTED + "schedules have no months",
    "I17": "no fault: what a long transaction enables is due from its start, so at its commit, and nothing is lost",
    "J7": "what a function answers is the project's own; the function of this package answers with counts",
    "J11": _PREVENTED + "every migration revokes in the transaction that creates (tests/schema/test_privileges.py)",
    "L5": "strikes a migration in a database that pg_cron does not serve, before there is anything to verify",
    "L6": _HOSTED + "it ignores the version clause, which no file here has",
    "M1": _PREVENTED + "every wait of the command line commits first (tests/jobs/test_outcomes.py)",
    "M2": _PREVENTED + "verify is one transaction and leaves no setting behind (tests/health/checks/test_catalogue.py)",
    "M6": _PREVENTED + "verify sets its own limits, in its own transaction",
    "M7": _PREVENTED + "connections prepare no statement",
    "N4": _SAME + "A3",
    "N6": _SAME + "H15",
    "N7": _SAME + "B6 and F12",
    "O18": _PREVENTED + "a URL that libpq misreads is refused, and no piece of it is shown (tests/test_connection.py)",
    "O20": _HARMLESS + "a history from which rows were deleted is judged by what is left (test_near_misses)",
    "P1": _PREVENTED + "`setup` leaves a job of the owner's name alone and says so (tests/setup/test_adopting.py)",
    "P2": _PREVENTED + "`migrate` never turns a working chain off (tests/setup/test_adopting.py)",
    "P5": _HARMLESS + "placeholders and public keys are no secrets (test_near_misses)",
    "P8": _PREVENTED + "a secret of the vault that is not ours is not overwritten (tests/credentials/test_vault.py)",
    "P10": _HARMLESS + "only other jobs are registered, and no settings name one (test_near_misses)",
}

# faults that have nothing to do with each other: both are root causes, and whatever follows from either is neither
PAIRS: tuple[tuple[str, str], ...] = (
    ("A6", "J1"),
    ("C2", "J3"),
    ("C7", "H18"),
    ("H2", "J1"),
    ("H9", "C2"),
    ("H6", "J5"),
    ("E1", "I2"),
    ("E8", "L2"),
    ("G2", "C9"),
    ("G1", "J6"),
    ("F2", "I1"),
    ("F19", "I12"),
    ("L8", "L7"),
    ("H12", "B3"),
    ("K1", "C4"),
    ("A10", "H5"),
    ("F7", "K6"),
    ("F14", "J3"),
)
