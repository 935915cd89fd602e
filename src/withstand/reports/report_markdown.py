"""Report as one Markdown file, next to its figures."""

from collections.abc import Sequence

from withstand.rendering.grid import Grid
from withstand.rendering.markdown import escaped, fenced, markdown
from withstand.reports.page.html import ShownPicture, Summary
from withstand.reports.page.mistakes import ShownMistakes
from withstand.study.digest import Digest
from withstand.study.origin import Origin, commands_of

MOST_LINES = 500  # of the table of all numbers


def report_markdown(
    digest: Digest,
    found: Sequence[Grid],
    every: Grid,
    drawn: Sequence[ShownPicture],
    origins: Sequence[Origin],
    *,
    mistakes: Sequence[ShownMistakes] = (),
    summary: Summary,
    command: str,
) -> str:
    """Return the report as Markdown: what the page has.

    Args:
        digest: The numbers.
        found: The tables but for the next one.
        every: The table of all numbers; a long one is replaced by a link.
        drawn: The figures.
        origins: By combination.
        mistakes: Mistakes of combinations; their thumbnails are left out.
        summary: What the page opens with.
        command: That makes the report again.
    """
    parts = [f"# {escaped(digest.study.name)}", "", escaped(summary.tally), ""]
    if summary.doubts:
        parts += ["## Warning: numbers that are not trustworthy", ""]
        parts += [*(f"- {escaped(each)}" for each in summary.doubts), ""]
    if digest.holes or summary.warnings:
        parts += ["## Missing results" if digest.holes else "## Warnings", ""]
        parts += [*(f"- {escaped(each)}" for each in (*digest.holes, *summary.warnings)), ""]
    found_out = (*summary.headline, *summary.findings)
    parts += ["## Summary", "", *(f"- {_finding(*each)}" for each in found_out), ""]
    for sheet in found:
        parts += [f"## {escaped(sheet.title)}", "", markdown(sheet, title=False)]
    parts += ["## Mistakes", ""] if mistakes else []
    for each in mistakes:
        parts += [f"### {escaped(each.name)}", "", markdown(each.table(), title=False)]
    parts += ["## Figures", "", *map(_figure, drawn)] if drawn else []
    parts += ["## All numbers", ""]
    if len(every.lines) <= MOST_LINES:
        parts.append(markdown(every, title=False))
    else:
        parts += [f"[{len(every.lines):,} lines](tables/{every.name}.md).", ""]
    parts += ["## Reproduce", ""]
    parts += [*fenced([*commands_of(origins), command]), ""]
    parts += [f"- [{escaped(each.name)}](cards/{each.key}.md): {each.share} runs" for each in digest.combinations]
    parts += ["", "Every number: [rows.csv](rows.csv), [summary.csv](summary.csv)."]
    return "\n".join(parts) + "\n"


def _figure(shown: ShownPicture) -> str:
    picture = shown.picture
    image = f"![{escaped(picture.alt)}]({shown.files['png']})"
    return f"### {escaped(picture.title)}\n\n{image}\n\n{escaped(picture.caption)}\n"


def _finding(what: str, sentence: str) -> str:
    return f"**{escaped(what)}:** {escaped(sentence)}" if what else escaped(sentence)
