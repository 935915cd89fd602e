"""Drawing in two processes gives what drawing in one gives, whatever becomes of the second."""

from functools import partial
from multiprocessing import Pipe, active_children

import pytest
from matplotlib.figure import Figure

from withstand.reports.figures import drawing
from withstand.reports.figures.drawing import Drawing, serve
from withstand.reports.figures.picture import Picture
from withstand.reports.figures.style import new_figure


def marked(number):
    """Return a figure with a mark."""
    figure = Figure(figsize=(2, 1))
    (mark,) = figure.add_axes((0.2, 0.2, 0.7, 0.7)).plot([number], [1], "o")
    mark.set_gid("mark")
    return figure


def picture(number, draw):
    return Picture(name=f"p{number}", title="t", caption="c", alt="a", draw=draw, values={"mark": f"value {number}"})


@pytest.fixture
def pictures():
    """Figures that another process can draw, and such as it cannot be given."""
    return [picture(k, partial(new_figure, 1.0 + 0.1 * k) if k % 4 else lambda k=k: marked(k)) for k in range(6)]


def draw_all(pictures, folder, *, processes):
    with Drawing(pictures, folder, processes=processes) as drawing:
        return drawing.finish()


def content(folder):
    return {each.name: each.read_bytes() for each in folder.iterdir()}


@pytest.fixture
def two(monkeypatch):
    """Two processors, and few figures are many."""
    monkeypatch.setattr(drawing, "_processors", lambda: 2)
    monkeypatch.setattr(drawing, "MANY", 2)


@pytest.mark.usefixtures("two")
def test_two_processes_draw_what_one_draws(pictures, tmp_path):
    one, two = (draw_all(pictures, tmp_path / str(k), processes=k) for k in (1, 2))
    assert [element for element, _ in one] == [element for element, _ in two]
    assert [files["png"].name for _, files in two] == [f"p{k}.png" for k in range(6)]
    assert content(tmp_path / "1") == content(tmp_path / "2")
    assert len(content(tmp_path / "2")) == 12


@pytest.mark.usefixtures("two")
def test_a_second_process_that_fails_loses_nothing(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "serve", print)
    assert len(draw_all(pictures, tmp_path, processes=2)) == len(pictures)
    assert len(content(tmp_path)) == 2 * len(pictures)


@pytest.mark.usefixtures("two")
def test_a_figure_that_cannot_be_drawn_raises_in_either_case(tmp_path):
    for processes in (1, 2):
        with pytest.raises(ValueError, match="high"):
            draw_all([picture(0, partial(float, "high"))] * 3, tmp_path, processes=processes)


@pytest.mark.usefixtures("two")
def test_what_goes_wrong_meanwhile_ends_the_second_process(tmp_path):
    some = [picture(k, partial(new_figure, 1.0)) for k in range(6)]
    drawing_on = Drawing(some, tmp_path, processes=2)
    with pytest.raises(ValueError, match="something else"), drawing_on:
        raise ValueError("something else")
    assert drawing_on.thread is not None
    assert not drawing_on.thread.is_alive()
    assert not active_children()


def test_a_second_process_draws_until_there_is_no_more(tmp_path):
    here, there = Pipe()
    for k in range(2):
        here.send((picture(k, partial(new_figure, 1.0)), tmp_path, f"q{k}-"))
    here.send((picture(2, partial(float, "high")), tmp_path, "q2-"))
    serve(there)
    found = [here.recv() for _ in range(2)]
    assert [files["svg"] for _, files in found] == [tmp_path / f"p{k}.svg" for k in range(2)]
    assert all(f'id="q{k}-figure_1"' in found[k][0] for k in range(2))
    assert not here.poll()


def test_few_figures_take_one_process(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "Thread", None)
    assert len(draw_all(pictures, tmp_path, processes=2)) == len(pictures)
