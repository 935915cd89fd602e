"""The verdict on an input: accepted, refused in one sentence, or failed."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzzing.case import Case

if TYPE_CHECKING:
    from fuzzing.runner import Limits

ACCEPTED, REFUSED, FAILED = "accepted", "refused", "failed"
MOST_CHARACTERS = 1000  # of a sentence
# Legitimate failures on valid input: a non-finite loss, too little memory. Any other exit code 1 is a failure.
HONEST = re.compile(r"non-finite|not finite|out of memory", re.IGNORECASE)
# Of Python, with the line that it quotes: scikit-learn warns of labels in a column, for example.
WARNING = re.compile(r"^\S+\.py:\d+: \w*Warning: .*\n(  .*\n)?", re.MULTILINE)
# Text that no message for users may contain.
RAW = re.compile(r"Expected a <class '|Got value:|Traceback \(most recent|Exception ignored")


def judge(
    *,
    case: Case | None,
    reports: list[dict[str, Any]],
    status: int,
    stopped: str,
    told: str,
    peak: int,
    limits: "Limits",
    outside: Path,
) -> tuple[str, str]:
    """Return the verdict and, for a failure, its kind."""
    for each in reports:
        if "event" in each:
            return FAILED, f"forbidden: {each['event']} {each['what']}"
        if "raised" in each:
            return FAILED, each["raised"]
    if case is None:
        return FAILED, "the harness could not make the input"
    if sorted(each.name for each in outside.iterdir()) != ["kept"] or (outside / "kept").read_text() != "kept":
        return FAILED, "a file outside was changed"
    if (outside.parent / "inside" / "executed").exists():
        return FAILED, "code of the input ran"
    if stopped == "memory" or peak > limits.memory:
        return FAILED, f"memory: {peak >> 20:,} MiB"
    if stopped == "time":
        return (ACCEPTED, "") if case.may_be_long else (FAILED, f"no end within {limits.seconds:g} s")
    if os.WIFSIGNALED(status):
        return FAILED, f"ended by signal {os.WTERMSIG(status)}"
    return _of_code(os.WEXITSTATUS(status), case, told)


def _of_code(code: int, case: Case, told: str) -> tuple[str, str]:
    told = WARNING.sub("", told) if case.code else told
    lines = [each for each in told.splitlines() if each.strip()]
    last = lines[-1] if lines else ""
    if raw := RAW.search(told):
        return FAILED, f"raw text {raw.group()!r}: {_general(last)}"
    if code == 0:
        return ACCEPTED, ""
    if code == 2 and case.code and not told:
        return REFUSED, ""
    if not last.startswith(("withstand: ", "usage: ", "`withstand")) and code in (1, 2, 3):
        return FAILED, f"exit {code} without a sentence: {_general(last)}"
    if len(last) > MOST_CHARACTERS:
        return FAILED, f"a sentence of {len(last):,} characters: {_general(last)}"
    if code == 2 or (code == 3 and case.words[:1] == ("sweep",)):
        return REFUSED, ""
    if code == 1 and HONEST.search(last):
        return REFUSED, ""
    return FAILED, f"exit {code}: {_general(last)}"


def _general(line: str) -> str:
    """Return the start of a line without its numbers and paths, so that similar failures are counted together."""
    return re.sub(r"'[^']*'|/\S+|\d+", "_", line)[:160]
