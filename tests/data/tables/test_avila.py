import pytest
import torch

from withstand.data.tables.avila import FEATURES, Avila
from withstand.errors import InputError

# shared by the set's own description
TRAINING = dict(A=4286, B=5, C=103, D=352, E=1095, F=1961, G=446, H=519, I=831, W=44, X=522, Y=266)


def test_the_real_files_have_their_class_balance(data_root):
    split = Avila(root=str(data_root), validation=0.0).load("train")
    assert split.classes == tuple(TRAINING)
    assert split.y.bincount().tolist() == list(TRAINING.values())
    assert len(Avila(root=str(data_root)).load("test")) == 10_437


def test_the_published_features_leave_out_columns_5_and_9(data_root):
    published = Avila(root=str(data_root)).load("test")
    everything = Avila(root=str(data_root), columns="all").load("test")
    kept = [column for column in range(10) if column not in (5, 9)]
    assert published.shape == (8,)
    assert published.features.names == tuple(FEATURES[column] for column in kept)
    assert torch.equal(published.x, everything.x[:, kept])


def test_the_training_part_is_standardised(data_root):
    split = Avila(root=str(data_root)).load("train")
    assert split.x.double().mean(0).abs().max() < 1e-5
    assert (split.x.double().std(0, correction=0) - 1).abs().max() < 1e-5


def test_a_damaged_file_is_named_by_line(tmp_path):
    row = ",".join(["0.5"] * 10)
    (tmp_path / "avila-tr.txt").write_text(f"{row},A\r\n{row},B\r\n{row.replace('0.5', '', 1)},A\r\n")
    with pytest.raises(InputError, match=r"Avila: .*avila-tr.txt, line 3, column 'intercolumnar distance': expected"):
        Avila(root=str(tmp_path)).load("train")


def test_bad_fields_and_missing_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="Avila: columns must be published or all, got 'some'"):
        Avila(columns="some")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"Avila: expected avila/avila-tr.txt or avila-tr.txt under"):
        Avila(root=str(tmp_path)).load("train")
