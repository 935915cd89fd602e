"""Drawing many pictures: half of them in a second process, since matplotlib keeps an interpreter to itself."""

import multiprocessing
import os
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from pickle import PicklingError
from threading import Thread
from types import TracebackType
from typing import Self

from markupsafe import Markup

from withstand.reports.figures.picture import Picture
from withstand.reports.figures.style import house_style
from withstand.reports.page.figure import draw

Drawn = tuple[Markup, dict[str, Path]]
MANY = 12  # pictures from which the start of a process pays


class Drawing:
    """Pictures on their way; which process draws one does not matter.

    With two processes the second one draws from the beginning of the context on, and this one joins in `finish`.
    """

    def __init__(self, pictures: Sequence[Picture], folder: Path, *, processes: int = 1) -> None:
        """Say what is to be drawn.

        Args:
            pictures: What to draw.
            folder: Of the files.
            processes: At most so many, one or two; two for many pictures only, and if there are processors for them.
        """
        self.pictures, self.folder = pictures, folder
        self.waiting, self.found = deque(range(len(pictures))), dict[int, Drawn]()
        two = processes > 1 and len(pictures) >= MANY and _processors() > 1
        self.thread = Thread(target=self._elsewhere, daemon=True) if two else None

    def __enter__(self) -> Self:
        """Let the second process begin."""
        if self.thread is not None:
            self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        """End the second process, after the picture that it is at."""
        self.waiting.clear()
        if self.thread is not None:
            self.thread.join()

    def finish(self) -> list[Drawn]:
        """Draw what nobody else has, and return what `draw` returns of each picture."""
        self._here(self.waiting)
        if self.thread is not None:
            self.thread.join()
        # What the other process could not draw, or not be given.
        self._here(deque(each for each in range(len(self.pictures)) if each not in self.found))
        return [self.found[place] for place in range(len(self.pictures))]

    def _here(self, waiting: deque[int]) -> None:
        with house_style():
            while (place := _next(waiting)) is not None:
                self.found[place] = draw(self.pictures[place], self.folder, prefix=_prefix(place))

    def _elsewhere(self) -> None:
        """Let another process draw, for as long as it does so."""
        context = multiprocessing.get_context("spawn")
        connection, other = context.Pipe()
        process = context.Process(target=serve, args=(other,), daemon=True)
        try:
            process.start()
            other.close()
            while (place := _next(self.waiting)) is not None:
                connection.send((self.pictures[place], self.folder, _prefix(place)))
                self.found[place] = connection.recv()
        except (OSError, EOFError, PicklingError, AttributeError, TypeError):
            return
        finally:
            connection.close()
            other.close()
            if process.pid is not None:
                process.join()
                process.close()


def serve(connection: Connection) -> None:
    """Draw what is asked for until there is no more: pictures, each with its folder and prefix."""
    with house_style():
        while True:
            try:
                picture, folder, prefix = connection.recv()
                connection.send(draw(picture, folder, prefix=prefix))
            except Exception:  # the caller draws it again and raises the error
                return


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
