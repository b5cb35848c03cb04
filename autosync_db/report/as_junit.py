"""A health report as JUnit XML, for CI systems that show test results: a case per check, and per job it fails for."""

import re
from xml.etree import ElementTree  # writes only; nothing is parsed

from autosync_db.health.model import CheckResult, Report, Status

# what XML 1.0 has no way to write, not even as a reference: names of a database may hold it
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def report(found: Report) -> str:
    """Return the report as JUnit XML: critical and warning are failures, unknown an error, blocked is skipped.

    Skipped is also what an optional check could not look at.
    """
    suite = ElementTree.Element(
        "testsuite",
        name=f"autosync-db verify {found.target}",
        timestamp=found.checked_at.isoformat(),
        tests=str(len(found.rows)),
        failures=str(_count(found, Status.CRITICAL, Status.WARNING)),
        errors=str(sum(result.weight is Status.UNKNOWN for result in found.rows)),
        skipped=str(_count(found, Status.BLOCKED) + sum(map(_is_light, found.rows))),
    )
    for result in found.rows:
        _case(suite, result, found)
    ElementTree.indent(suite)
    text = ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)
    return _NO_XML.sub("\ufffd", text) + "\n"


def _case(suite: ElementTree.Element, result: CheckResult, found: Report) -> None:
    name = f"{result.id}{found.of_job(result)}"
    case = ElementTree.SubElement(suite, "testcase", classname=f"autosync.{result.check.layer}", name=name)
    details = "\n".join(f"{item.object}: {item.detail}" for item in result.verdict.evidence)
    remedy = f"\nremedy: {result.remedy}" if result.remedy else ""
    match result.status:
        case Status.OK:
            return
        case Status.BLOCKED:
            ElementTree.SubElement(case, "skipped", message=f"explained by {', '.join(result.blocked_by)}")
        case Status.UNKNOWN if _is_light(result):
            ElementTree.SubElement(case, "skipped", message=result.verdict.summary)
        case Status.UNKNOWN:
            ElementTree.SubElement(case, "error", message=result.verdict.summary).text = details + remedy
        case status:
            failure = ElementTree.SubElement(case, "failure", type=status.value, message=result.verdict.summary)
            failure.text = details + remedy


def _is_light(result: CheckResult) -> bool:
    return result.status is Status.UNKNOWN and result.weight is not Status.UNKNOWN


def _count(found: Report, *statuses: Status) -> int:
    return sum(result.status in statuses for result in found.rows)
