"""Drawing many pictures: half of them in a second process, since matplotlib keeps an interpreter to itself."""

import multiprocessing
import os
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from pickle import PicklingError
from threading import Thread

from markupsafe import Markup

from withstand.reports.html_figure import draw
from withstand.reports.picture import Picture

Drawn = tuple[Markup, dict[str, Path]]
MANY = 12  # pictures from which the start of a process pays


def draw_all(pictures: Sequence[Picture], folder: Path, *, processes: int = 1) -> list[Drawn]:
    """Draw pictures, and return what `draw` returns of each; which process draws one does not matter.

    Args:
        pictures: What to draw.
        folder: Of the files.
        processes: At most so many, one or two; two for many pictures only, and if there are processors for them.
    """
    found: dict[int, Drawn] = {}
    waiting = deque(range(len(pictures)))
    two = processes > 1 and len(pictures) >= MANY and _processors() > 1
    thread = Thread(target=_elsewhere, args=(pictures, folder, waiting, found), daemon=True) if two else None
    if thread is not None:
        thread.start()
    try:
        _here(pictures, folder, waiting, found)
    finally:
        waiting.clear()
        if thread is not None:
            thread.join()
    # What the other process could not draw, or not be given.
    _here(pictures, folder, deque(each for each in range(len(pictures)) if each not in found), found)
    return [found[place] for place in range(len(pictures))]


def serve(connection: Connection) -> None:
    """Draw what is asked for until there is no more: pictures, each with its folder and prefix."""
    while True:
        try:
            picture, folder, prefix = connection.recv()
            connection.send(draw(picture, folder, prefix=prefix))
        except Exception:  # whoever asked draws it as well, and hears what is wrong
            return


def _here(pictures: Sequence[Picture], folder: Path, waiting: deque[int], found: dict[int, Drawn]) -> None:
    while (place := _next(waiting)) is not None:
        found[place] = draw(pictures[place], folder, prefix=_prefix(place))


def _elsewhere(pictures: Sequence[Picture], folder: Path, waiting: deque[int], found: dict[int, Drawn]) -> None:
    """Let another process draw, for as long as it does so."""
    context = multiprocessing.get_context("spawn")
    connection, other = context.Pipe()
    process = context.Process(target=serve, args=(other,), daemon=True)
    try:
        process.start()
        other.close()
        while (place := _next(waiting)) is not None:
            connection.send((pictures[place], folder, _prefix(place)))
            found[place] = connection.recv()
    except (OSError, EOFError, PicklingError, AttributeError, TypeError):
        return
    finally:
        connection.close()
        other.close()
        if process.pid is not None:
            process.join()
            process.close()


def _next(waiting: deque[int]) -> int | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _prefix(place: int) -> str:
    """Return what is put before the names in a drawing, for there are several in a page."""
    return f"f{place}-"


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
