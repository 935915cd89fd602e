"""Help for the fields of a class: `--objective.perturbation.help AugMix`."""

import pytest

from withstand.cli import main


def printed(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", *words])
    assert stop.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--objective.perturbation.help", "gaussian"], "--objective.perturbation.std"),
        (["--objective.fold.help=withstand.SoftMaximum"], "--objective.fold.last-temperature"),
        (["--objective.main.perturbation.help", "PRIME"], "--objective.main.perturbation.filter-std"),
        (["--objective.help", "PerturbedRisk"], "--objective.num-draws"),
        (["--schedule.help", "Cosine"], "--schedule.warmup"),
        (["--model.help", "mlp"], "--model.hidden"),
    ],
)
def test_options_of_a_class_have_their_whole_names(words, option, capsys):
    text = printed(words, capsys)
    path = option.rpartition(".")[0]
    shown = {line.split()[0] for line in text.splitlines() if line.startswith("  --")}
    assert option in shown
    assert {each.rpartition(".")[0] for each in shown} == {path}
    assert text.startswith(f"usage: withstand train {path} ")


@pytest.mark.parametrize("option", ["--objective.perturbation.help", "--model.help", "--schedule.help"])
def test_help_needs_the_name_of_a_class(option, capsys):
    assert main(["train", option]) == 2
    assert capsys.readouterr().err == f"withstand: option {option}: expected the name of a class, got none.\n"
