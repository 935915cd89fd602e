from withstand.data.tables.table import Table
from withstand.sweeps.latest_data import latest_data


def test_the_last_data_are_kept_whatever_their_fields_hold(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text("size,colour,y\n" + "".join(f"{k / 7},{'rg'[k % 2]},{k % 3}\n" for k in range(60)))
    one, same, other = (
        Table(path=str(file), target="y", changes={"colour": each}) for each in (("r", "g"), ("r", "g"), ("g", "r"))
    )
    parts = latest_data(one)
    assert latest_data(same) is parts
    assert latest_data(other) is not parts
