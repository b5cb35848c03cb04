"""How the process ends: what the running command leaves for the root of the command line."""

from autosync_db.remedies import ANYWHERE


class Run:
    """What the ending of the process depends on: commands set it, the root reads it."""

    verbosity = 0
    """-1 with --quiet, else how often -v was given."""
    code_if_unread = 0
    """The exit code when the reader of stdout, e.g. head, leaves early; a command that writes says more than 0."""
    is_plugin = False
    """Whether Nagios asks: it reads one line of stdout, and takes the other exit codes for verdicts."""
    aim = ANYWHERE
    """What commands in hints and messages must repeat; known once the settings are read."""
