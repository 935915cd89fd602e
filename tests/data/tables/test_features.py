import torch

from withstand.data.tables.features import fit_features


def test_unscaled_continuous_features_are_described():
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 9.0], [4.0, 1.0]])
    known = fit_features(("a", "b"), x)
    assert known.names == known.columns == ("a", "b")
    assert known.kinds == ("continuous", "continuous")
    assert known.movable == (True, True)
    assert known.offset == (0.0, 0.0)
    assert known.scale == (1.0, 1.0)


def test_the_distance_of_the_quartiles_is_interpolated_and_0_where_most_rows_agree():
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 9.0], [14.0, 1.0], [15.0, 1.0]])
    assert fit_features(("a", "b"), x).iqr == (11.25 - 1.25, 0.0)
    assert fit_features(("a", "b"), x.double()) == fit_features(("a", "b"), x)
