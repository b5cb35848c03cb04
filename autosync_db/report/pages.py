"""The pages that `explain` prints: of a check, or of a topic. What they name is what a terminal has."""

import re
from pathlib import PurePosixPath

from autosync_db import resources
from autosync_db.errors import unknown
from autosync_db.health import catalogue, composer

# what somebody at a terminal needs, in the order in which it is needed; a wheel carries these pages
TOPICS = {
    PurePosixPath(path).stem: f"docs/{path}.md"
    for path in (
        "tutorial/local",
        "guides/first-project",
        "guides/from-the-setup-guide",
        "guides/audit",
        "guides/adoption",
        "guides/jobs-of-your-own",
        "guides/several-jobs",
        "guides/schedules",
        "guides/functions",
        "guides/supabase-cli",
        "guides/ci",
        "guides/alerts",
        "guides/monitoring",
        "guides/read-a-failure",
        "guides/report",
        "guides/secrets",
        "guides/rotation",
        "guides/access-token",
        "guides/repair",
        "guides/upgrade",
        "guides/isolation",
        "guides/copies",
        "guides/watch",
        "guides/cost",
        "guides/teardown",
        "guides/local-stack",
        "guides/containers",
        "explanation/why-succeeded-lies",
        "explanation/security-model",
        "explanation/keys",
        "explanation/next-run-at",
        "explanation/limits",
        "explanation/interruption",
        "explanation/verify-cost",
        "reference/settings",
        "reference/environment",
        "reference/exit-codes",
        "reference/answers",
        "reference/glossary",
    )
}
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\(([^)\s]+)\)")
# what a page says to who has the repository, and other comments
_LEFT_OUT = re.compile(r"<!-- in the repository -->.*?<!-- everywhere -->\n*|<!--.*?-->\n*", re.DOTALL)


def ids() -> list[str]:
    """Return what can be explained: the topics, then the checks."""
    return [*TOPICS, *catalogue.ids()]


def require(id: str) -> None:
    """Return if there is a page of this check or topic. Raises UsageError if not, with what was meant."""
    if id in ids():
        return
    raise unknown("check or topic", id, ids(), hint="list them with: autosync-db explain")


def title(topic: str) -> str:
    """Return the heading of a topic's page."""
    return resources.read(TOPICS[topic]).partition("\n")[0].removeprefix("# ")


def page(id: str) -> str:
    """Return a page as it is printed: a link to another one is the command that prints it."""
    require(id)
    text = resources.read(TOPICS[id]) if id in TOPICS else composer.page(id)

    def shown(link: re.Match[str]) -> str:
        words, address = link.groups()
        if "://" in address:
            return link[0]
        target, plain = PurePosixPath(address.partition("#")[0]).stem, words.strip("`")
        if target == id or target not in TOPICS:
            return words
        command = f"autosync-db explain {target}"
        return f"`{command}`" if plain in {target, f"{target}.md", command} else f"{words} (`{command}`)"

    return _LINK.sub(shown, _LEFT_OUT.sub("", text))
