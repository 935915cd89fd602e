"""A run's folder: what is used again, and what is refused."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

from withstand.copies.layout import CorruptedCopy
from withstand.copies.writing import write_copy
from withstand.data.images.digits import Digits
from withstand.data.tables.toy import Toy
from withstand.errors import InputError
from withstand.experiment import CONFIG, ROWS, Experiment, dump, is_finished, plain, run
from withstand.models.mlp import MLP
from withstand.perturbations.corruptions.imagenet_c.contrast import Contrast
from withstand.stacked.trials import run_together
from withstand.sweeps.plan import Plan
from withstand.sweeps.sweep import sweep
from withstand.training.settings import Training

ONE = Experiment(data=Toy(num_train=40, num_test=40), model=MLP(hidden=(4,)), training=Training(epochs=1, batch_size=8))
OTHER = replace(ONE, training=Training(epochs=2, batch_size=8))


@pytest.fixture
def alike(monkeypatch):
    """All identities are the same, as those of two configurations may be by chance."""
    monkeypatch.setattr("withstand.experiment.identity", lambda _: "0" * 16)


def swept(experiment, root):
    folder = experiment.folder(root).name
    return sweep(
        Plan(name="x", entries=(), experiments={folder: experiment}), root, None, SimpleNamespace(on_begin=None)
    )


REUSES = {
    "run": run,
    "run_together": lambda experiment, root: run_together([experiment], root),
    "sweep": swept,
}


@pytest.mark.parametrize("reuse", REUSES)
@pytest.mark.parametrize("is_done", [True, False])
def test_a_folder_of_another_configuration_is_refused_though_the_identities_agree(reuse, is_done, alike, tmp_path):
    folder = OTHER.folder(tmp_path)
    folder.mkdir()
    (folder / CONFIG).write_text(dump(plain(OTHER)))
    if is_done:
        (folder / ROWS).write_text("")
    before = {each: each.read_bytes() for each in folder.iterdir()}
    with pytest.raises(InputError) as caught:
        REUSES[reuse](ONE, tmp_path)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {each: each.read_bytes() for each in folder.iterdir()} == before


@pytest.mark.parametrize("reuse", REUSES)
def test_a_finished_folder_of_the_same_configuration_is_used_again_however_it_is_written(reuse, tmp_path):
    folder = ONE.folder(tmp_path)
    folder.mkdir()
    content = plain(ONE)
    lines = dump(dict(reversed(content.items()))).replace("batch_size: 8", "batch_size: 8.0")
    (folder / CONFIG).write_text("# by hand\n" + lines)
    (folder / ROWS).write_text("")
    REUSES[reuse](ONE, tmp_path)
    assert (folder / ROWS).read_text() == ""


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"a: [", b"\xff\xfe\xfa", b"seed: 2020-01-01", b"seed: 0"])
def test_a_damaged_configuration_is_one_sentence(content, tmp_path):
    (tmp_path / CONFIG).write_bytes(content)
    with pytest.raises(InputError, match=CONFIG):
        is_finished(ONE, tmp_path)


def test_experiments_that_differ_in_their_name_have_a_folder_each(tmp_path):
    folders = run_together([ONE, replace(ONE, name="again")], tmp_path)
    assert all((folder / ROWS).exists() for folder in folders)
    assert len(set(folders)) == 2


def test_a_copy_made_with_other_options_is_refused_though_the_identities_agree(monkeypatch, tmp_path):
    monkeypatch.setattr("withstand.copies.writing.identity", lambda _: "0" * 16)
    make = partial(CorruptedCopy, data=Digits(), format="png")
    write_copy(make(corruptions=(Contrast(severity=1),)), tmp_path)
    write_copy(make(corruptions=(Contrast(severity=1),)), tmp_path)
    with pytest.raises(InputError, match="made with other options"):
        write_copy(make(corruptions=(Contrast(severity=2),)), tmp_path)
