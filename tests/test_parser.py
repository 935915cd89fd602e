import random
from dataclasses import MISSING, fields
from math import inf
from pathlib import Path

import pytest
import yaml

from withstand.cli import main
from withstand.configuration import discover
from withstand.data.base import Dataset
from withstand.data.corrupted.cifar10_c import Cifar10C
from withstand.data.corrupted.imagenet_c_files import ImagenetCFiles
from withstand.data.images.digits import Digits
from withstand.data.images.fashion_mnist import FashionMnist
from withstand.data.images.image_folder import ImageFolder
from withstand.data.tables.table import Table
from withstand.errors import InputError
from withstand.experiment import Experiment
from withstand.families import command_name, family_of, friendly
from withstand.models.mlp import MLP
from withstand.models.small_cnn import SmallCNN
from withstand.models.vision import Vision
from withstand.models.wide_resnet import WideResNet
from withstand.objectives.folds.soft_maximum import SoftMaximum
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.options import experiment_parser, read_experiment
from withstand.parser import build, spell
from withstand.perturbations.ball import Ball
from withstand.perturbations.gaussian import Gaussian
from withstand.perturbations.identity import Identity
from withstand.perturbations.mixture import Mixture
from withstand.perturbations.uniform import Uniform
from withstand.training.optimizers import SGD, Adam
from withstand.training.schedules import StepDecay
from withstand.training.settings import Training


def read(text):
    return read_experiment(text.split())


def refusal(words):
    with pytest.raises(InputError) as caught:
        read_experiment(words)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("typed", "full"),
    [
        ("--batch-size 8", "--training.batch_size=8"),
        ("--batch_size=8", "--training.batch_size=8"),
        ("--training.batch-size 8", "--training.batch_size=8"),
        ("-b 8", "--training.batch_size=8"),
        ("-j 2", "--workers=2"),
        ("--lr 1e-3", "--training.optimizer.lr=1e-3"),
        ("--clip-norm=-1", "--training.clip_norm=-1"),
        ("--clip-norm -1.5e3", "--training.clip_norm=-1.5e3"),
        ("--optimizer sgd", "--training.optimizer=SGD"),
        ("--optimizer.momentum 0.5", "--training.optimizer.momentum=0.5"),
        ("--schedule step-decay", "--training.schedule=StepDecay"),
        ("--schedule STEP_DECAY", "--training.schedule=StepDecay"),
        ("--root /somewhere/data-sets", "--data.root=/somewhere/data-sets"),
        ("--data fashion-mnist", "--data=FashionMnist"),
        ("--data FashionMnist", "--data=FashionMnist"),
        ("--model mlp", "--model=MLP"),
        ("--model resnet18", "--model=Vision --model.name=resnet18"),
        ("--model timm/convnext_tiny", "--model=Vision --model.name=timm/convnext_tiny"),
        ("--model withstand.models.mlp.MLP", "--model=withstand.models.mlp.MLP"),
        ("--model resnet18 --pretrained", "--model=Vision --model.name=resnet18 --model.pretrained=true"),
        ("--objective.perturbation uniform-noise", "--objective.perturbation=UniformNoise"),
        ("--name my-run", "--name=my-run"),
        ("--weights a-b.pt", "--weights=a-b.pt"),
        ("runs/a runs/b", "runs/a runs/b"),
    ],
)
def test_friendly_spellings_become_full_names(typed, full):
    assert spell(typed.split(), training=True) == full.split()


def test_commands_that_do_not_train_keep_their_own_options():
    assert spell(["-b", "8", "--batch-size", "9"], training=False) == ["--batch_size=8", "--batch_size=9"]
    assert spell(["runs/a", "--on", "clean", "noise"], training=False) == ["runs/a", "--on", "clean", "noise"]
    assert spell(["--quiet", "x"], training=False, flags=frozenset(["--quiet"])) == ["x", "--quiet"]


def test_an_option_of_one_value_takes_one_and_a_list_takes_all_that_follow():
    lists = frozenset(["--on"])
    words = ["--on", "clean", "noise", "--seed", "1", "runs/a", "--data", "digits", "runs/b"]
    spelled = spell(words, training=False, lists=lists)
    assert spelled == ["runs/a", "runs/b", "--on", "clean", "noise", "--seed=1", "--data=Digits"]


EXTRA = ["extra_word", "extra-word", "runs/my_run-1/a=b", "my folder/a_b", "-3", "C:\\a_b"]


@pytest.mark.parametrize("word", EXTRA)
@pytest.mark.parametrize(
    "words",
    [
        ["train"],
        ["train", "--seed", "1"],
        ["train", "--data", "digits"],
        ["quickstart"],
        ["report", "runs"],
        ["report", "runs", "--format", "json"],
        ["sweep", "toy"],
        ["corrupt", "digits", "folder"],
        ["evaluate", "--data", "digits", "--pixels", "32", "--seed", "2"],
    ],
)
def test_a_word_that_no_command_expects_is_repeated_as_it_was_typed(words, word, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code = main([*words, word])
    _, err = capsys.readouterr()
    assert code == 2
    assert len(err.splitlines()) == 1
    assert word in err
    assert "option" not in err
    if words[0] != "evaluate":  # where it is the name of a model
        assert err == f"withstand: {words[0]}: unexpected argument {word}\n"
    assert not list(tmp_path.iterdir())


def test_the_first_of_several_unexpected_words_is_named(capsys):
    assert main(["report", "runs", "b_c", "d_e", "b"]) == 2
    assert capsys.readouterr().err == "withstand: report: unexpected argument b_c\n"


def test_options_reach_their_fields():
    experiment = read(
        "--data fashion-mnist --root /d --model mlp --model.hidden [32,16] --epochs 60 -b 32 --lr 0.5 --optimizer SGD "
        "--schedule step-decay --schedule.every 20 --seed 3 --name try --clip-norm 1 --amp bf16 --augment false "
        "--objective.perturbation Uniform --objective.perturbation.ball.norm l2 --objective.num-draws 4 "
        "--objective.perturbation.ball.radius 0.25 --objective.fold.temperature 0.01"
    )
    assert experiment == Experiment(
        data=FashionMnist(root="/d"),
        model=MLP(hidden=(32, 16)),
        objective=PerturbedRisk(
            perturbation=Uniform(ball=Ball("l2", 0.25)), num_draws=4, fold=SoftMaximum(temperature=0.01)
        ),
        training=Training(
            epochs=60,
            batch_size=32,
            optimizer=SGD(lr=0.5),
            schedule=StepDecay(every=20),
            clip_norm=1.0,
            amp="bf16",
            augment=False,
        ),
        seed=3,
        name="try",
    )


def test_without_options_everything_has_its_default():
    assert read("") == Experiment()


def test_the_order_of_options_does_not_matter():
    words = [
        ["--lr", "0.5"],
        ["--optimizer", "SGD"],
        ["--optimizer.momentum", "0.5"],
        ["--objective.perturbation.std", "[0.1, 0.2]"],
        ["--objective.perturbation", "Gaussian"],
        ["--pretrained"],
        ["--model", "resnet34"],
    ]
    shuffle = random.Random(0).shuffle
    for _ in range(4):
        shuffle(words)
        experiment = read_experiment([word for option in words for word in option])
        assert experiment.training.optimizer == SGD(lr=0.5, momentum=0.5)
        assert experiment.objective.perturbation == Gaussian(std=(0.1, 0.2))
        assert experiment.model == Vision(name="resnet34", pretrained=True)


def test_an_option_given_twice_has_its_last_value():
    assert read("--lr 0.1 --lr 0.2").training.optimizer == Adam(lr=0.2)


def test_a_recipe_is_read_by_name_and_changed_by_options():
    recipe = read("--config quickstart-gaussian")
    assert recipe.objective.perturbation == Mixture(parts=(Identity(), Gaussian(std=0.5)))
    assert recipe.data == Digits()
    changed = read("--epochs 2 --config quickstart-gaussian --model.width 8")
    assert changed.training.epochs == 2
    assert changed.training.optimizer == recipe.training.optimizer
    assert changed.model == SmallCNN(width=8, batch_norm=True)


@pytest.mark.slow
def test_every_recipe_is_a_valid_experiment():
    import withstand

    recipes = sorted((Path(withstand.__file__).parent / "recipes").glob("*.yaml"))
    assert recipes
    for path in recipes:
        assert path.read_text().startswith("# ")
        assert read(f"--config {path.stem}") == read(f"--config {path}")


def test_changes_of_a_table_are_read_by_column():
    words = ["--data", "table", "--data.path", "t.csv", "--data.target", "y", "--model", "mlp"]
    data = read_experiment([*words, "--data.changes", "{colour: [red, '01', 3], rooms: [-1, 0.5]}"]).data
    assert isinstance(data, Table)
    assert {name: tuple(values) for name, values in (data.changes or {}).items()} == {
        "colour": ("red", "01", 3),
        "rooms": (-1, 0.5),
    }
    assert "data.changes" in refusal([*words, "--data.changes", "red"])


def test_infinity_can_be_written_in_yaml(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("objective:\n  class_path: PerturbedRisk\n  init_args:\n    fold:\n      temperature: .inf\n")
    assert read(f"--config {path}").objective == PerturbedRisk(fold=SoftMaximum(temperature=inf))


def named_classes():
    """Yield every class that an option of a training names and that can be made without arguments."""
    default = Experiment()
    for key, owner in {"data": default, "model": default, "objective": default, "optimizer": default.training}.items():
        for cls in discover(family_of(key)):
            if cls is not type(getattr(owner, key)) and all(each.default is not MISSING for each in fields(cls)):
                yield pytest.param(key, cls, id=f"{key}-{cls.__name__}")


def made(experiment, key):
    return getattr(experiment.training if key == "optimizer" else experiment, key)


@pytest.mark.parametrize(("key", "cls"), list(named_classes()))
def test_a_class_that_is_named_has_its_own_defaults(key, cls, tmp_path):
    """And not those of the default class, whose fields may have the same names."""
    assert made(read(f"--{key} {cls.__name__}"), key) == cls()
    path = tmp_path / "a.yaml"
    content = {key: {"class_path": cls.__name__}}
    path.write_text(yaml.safe_dump({"training": content} if key == "optimizer" else content))
    assert made(read(f"--config {path}"), key) == cls()


def test_a_class_with_required_fields_has_its_own_defaults_for_the_others(tmp_path):
    assert read("--data image-folder --root x").data == ImageFolder(root="x")
    assert read("--data table --data.path x.csv --data.target y").data == Table(path="x.csv", target="y")
    path = tmp_path / "a.yaml"
    path.write_text("data: {class_path: ImageFolder, init_args: {root: x}}\n")
    assert read(f"--config {path}").data == ImageFolder(root="x")


def test_what_was_given_for_a_class_stays_until_another_is_named(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("model: {class_path: WideResNet, init_args: {width: 8}}\ntraining: {optimizer: SGD}\n")
    second.write_text("model: {class_path: WideResNet, init_args: {depth: 22}}\n")
    both = read(f"--config {first} --config {second} --lr 0.3")
    assert (both.model, both.training.optimizer) == (WideResNet(depth=22, width=8), SGD(lr=0.3))
    assert read(f"--config {first} --model WideResNet").model == WideResNet(width=8)
    assert read(f"--config {first} --model SmallCNN --optimizer AdamW").model == SmallCNN()
    assert read(f"--model.width 8 --model wide-res-net --config {second}").model == WideResNet(depth=22, width=8)


MISSPELT = [
    ("--modle mlp", ["--modle", "--model"]),
    ("--epoch 3", ["--epoch", "--epochs"]),
    ("--training.epoch 3", ["--epoch", "--epochs"]),
    ("--batchsize 3", ["--batchsize", "--batch-size"]),
    ("--data dgits", ["dgits", "digits"]),
    ("--objective PerturbdRisk", ["PerturbdRisk", "PerturbedRisk"]),
    ("--objective.perturbation Gausian", ["Gausian", "Gaussian"]),
    ("--optimizer Adm", ["Adm", "Adam"]),
    ("--schedule cosin", ["cosin", "Cosine"]),
    ("--model small-cnn --model.wdth 3", ["SmallCNN", "wdth", "width"]),
    ("--optimizer SGD --optimizer.momentm 0.1", ["SGD", "momentm", "momentum"]),
    ("--objective.perturbation Gaussian --objective.perturbation.sdt 1", ["Gaussian", "sdt", "std"]),
    ("--objective.perturbation.std 1", ["Identity", "std", "--objective.perturbation chooses"]),
    ("--objective.perturbation.ball.radius 1", ["Identity: ball is not known"]),
    (
        "--objective.perturbation Gaussian --objective.perturbation.ball.radius 1",
        ["Gaussian: ball is not known", "std"],
    ),
    ("--help-me", ["option --help-me is not known", "--help"]),
    ("--objective.perturbation Uniform --objective.perturbation.ball.raduis 1", ["Ball", "raduis", "radius"]),
    ("--pretrained", ["SmallCNN", "pretrained", "width"]),
    ("extra", ["extra"]),
]


@pytest.mark.parametrize(("typed", "named"), MISSPELT, ids=[typed for typed, _ in MISSPELT])
def test_a_misspelt_name_is_refused_with_the_nearest_known_one(typed, named):
    sentence = refusal(typed.split())
    for word in named:
        assert word in sentence


WRONG = [
    ("--epochs x", ["epochs", "got x"]),
    ("--epochs 1.5", ["epochs", "got 1.5"]),
    ("--epochs -1", ["epochs must be at least 0", "got -1"]),
    ("--epochs", ["epochs"]),
    ("--batch-size 0", ["batch_size must be at least 1", "got 0"]),
    ("--patience 0", ["patience must be at least 1", "got 0"]),
    ("--lr abc", ["lr", "got abc"]),
    ("--lr 0", ["Adam", "lr must be above 0", "got 0.0"]),
    ("--lr nan", ["lr", "got nan"]),
    ("--lr 1e400", ["lr must be above 0", "inf"]),
    ("--clip-norm 0", ["clip_norm must be above 0", "got 0"]),
    ("--ema-decay 1", ["ema_decay must be above 0 and below 1", "got 1"]),
    ("--amp fp8", ["amp", "no", "bf16", "fp16", "got fp8"]),
    ("--keep worst", ["keep", "last", "best", "got worst"]),
    ("--augment maybe", ["augment", "got maybe"]),
    ("--seed -1", ["seed must be at least 0", "got -1"]),
    ("--seed a", ["seed", "got a"]),
    ("--name a/b", ["name", "a/b"]),
    ("--model.width 0", ["SmallCNN", "width must be at least 1", "got 0"]),
    ("--data.validation 2", ["Digits", "validation must be", "got 2"]),
    (
        "--objective.perturbation Gaussian --objective.perturbation.std -1",
        ["Gaussian", "std must be", "got -1"],
    ),
    ("--objective.perturbation Gaussian --objective.perturbation.std abc", ["std", "abc"]),
    (
        "--objective.perturbation Uniform --objective.perturbation.ball.radius -1",
        ["Ball", "radius must be", "got -1"],
    ),
    (
        "--objective.perturbation Uniform --objective.perturbation.ball.norm l3",
        ["norm", "l1", "l2", "linf", "got l3"],
    ),
    ("--optimizer.betas [0.9]", ["betas", "[0.9]"]),
    ("--config nothing", ["config", "nothing"]),
    ("--config /nowhere/a.yaml", ["config", "/nowhere/a.yaml"]),
    ("--weights a --weights", ["weights"]),
    ("--model mlp --model.hidden 3", ["model.hidden", "a list", "got 3"]),
    ("--model mlp --model.hidden [a,2]", ["model.hidden", "a whole number of at least 1", "got a"]),
    ("--data table --data.path t --data.target y --data.changes red", ["data.changes", "values by name", "got red"]),
    ("--objective.perturbation Uniform --objective.perturbation.ball 3", ["ball", "options by name", "got 3"]),
    ("--objective.perturbation Uniform --objective.perturbation.ball []", ["options by name", "list"]),
]


@pytest.mark.parametrize(("typed", "named"), WRONG, ids=[typed for typed, _ in WRONG])
def test_a_wrong_value_is_refused_in_one_sentence(typed, named):
    sentence = refusal(typed.split())
    for word in named:
        assert word in sentence
    assert sentence[-1] in ".?"


FOREIGN = ("Expected", "Union", "Subtypes", "Literal", "class ", "NoneType")  # the words of jsonargparse
OPTIONS = sorted({word for action in experiment_parser()._actions for word in action.option_strings})


@pytest.mark.parametrize("value", ["?", "a\nb", "", "[[1]]", "x" * 200], ids=["text", "lines", "empty", "list", "long"])
def test_a_value_of_any_option_is_refused_in_one_short_line_without_words_of_the_parser(value):
    refused = 0
    for option in OPTIONS:
        if option.endswith("help") or option in ("-h", "--config", "--weights", "--name"):
            continue
        try:
            read_experiment([f"{option}={value}"])
        except InputError as problem:
            refused += 1
            sentence = str(problem)
            assert sentence.isprintable(), option
            assert len(sentence) < 400, option
            assert "got" in sentence or "not known" in sentence, (option, sentence)
            assert not [word for word in FOREIGN if word in sentence], (option, sentence)
    assert refused > 10


FILES = {
    "training:\n  epochs: x\n": ["epochs", "got x"],
    "training:\n  epoch: 3\n": ["epoch", "epochs"],
    "epochs: 3\n": ["epochs"],
    "objective:\n  class_path: PerturbedRisk\n  init_args:\n    perturbation:\n      class_path: Uniform\n"
    "      init_args:\n        ball: {radis: 1}\n": ["Ball", "radis", "did you mean radius?"],
    "seed: 1.5\n": ["seed", "got 1.5"],
    "model:\n  class_path: SmallCNN\n  init_args:\n    widht: 3\n": ["SmallCNN", "widht", "width"],
    "model:\n  class_path: Smal\n": ["Smal", "small-cnn"],
    "model:\n  class_path: withstand.errors.InputError\n": ["withstand.errors.InputError"],
    "objective:\n  class_path: PerturbedRisk\n  init_args:\n    perturbation: Gausian\n": [
        "Gausian",
        "Gaussian",
    ],
    "training:\n  optimizer:\n    class_path: SGD\n    init_args:\n      betas: 3\n": [
        "SGD",
        "betas",
        "momentum",
    ],
    "training:\n  schedule:\n    class_path: StepDecay\n    init_args:\n      decay: 3\n": [
        "StepDecay",
        "decay",
        "3",
    ],
    "- a list\n": [],
    "training: [\n": [],
    "data: 5\n": ["data"],
}


@pytest.mark.parametrize("content", FILES, ids=lambda text: text.replace("\n", " ").replace("  ", ""))
def test_a_wrong_file_is_refused_in_one_sentence_and_runs_nothing(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(content)
    sentence = refusal(["--config", "a.yaml"])
    for word in FILES[content]:
        assert word in sentence
    assert [each.name for each in tmp_path.iterdir()] == ["a.yaml"]


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00\x01")
    refusal(["--config", str(tmp_path / "a.yaml")])
    refusal(["--config", str(tmp_path)])


def test_names_are_spelled_the_same_in_both_directions():
    assert command_name(FashionMnist) == "fashion-mnist"
    assert command_name(SmallCNN) == "small-cnn"
    assert command_name(MLP) == "mlp"
    assert command_name(Cifar10C) == "cifar10-c"
    for cls in discover(Dataset):
        assert spell(["--data", command_name(cls)], training=True) == [f"--data={cls.__name__}"]
        assert spell(["--data", cls.__name__], training=True) == [f"--data={cls.__name__}"]
    assert friendly("--training.batch_size") == "--batch-size"
    assert friendly("--data.root") == "--data.root"


def test_a_data_set_can_have_a_command_of_its_own(tmp_path):
    assert command_name(ImagenetCFiles) == "imagenet-c"
    for spelled in ("imagenet-c", "imagenet_c", "ImagenetCFiles"):
        found = read_experiment(["--data", spelled, "--data.root", "/d"])
        assert found.data == ImagenetCFiles(root="/d")
    assert "did you mean imagenet-c" in refusal(["--data", "imagenet-d"])
    (tmp_path / "a.yaml").write_text("data: imagenet-c\n")
    found = read_experiment(["--config", str(tmp_path / "a.yaml"), "--data.root", "/d"])
    assert found.data == ImagenetCFiles(root="/d")


def test_a_class_path_outside_the_package_is_refused_before_it_is_imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'sprung')!r}).mkdir()\n")
    (tmp_path / "a.yaml").write_text("model:\n  class_path: evil.Model\n")
    assert "evil.Model" in refusal(["--config", str(tmp_path / "a.yaml")])
    assert not (tmp_path / "sprung").exists()


def test_the_name_of_a_class_that_a_field_cannot_hold_gets_a_suggestion():
    other = "is a kind of Perturbation, but not of Attack"
    for name, what, known in (("Skuare", "is not known", "Square"), ("PGD", other, "APGD")):
        for given in (name, {"class_path": name}):
            with pytest.raises(InputError, match=rf"^evaluations.attacks: {name} {what}; did you mean {known}\?$"):
                build("on", {"class_path": "WorstCase", "init_args": {"attacks": [given]}}, "evaluations")


def test_attacks_are_named_by_their_class_alone():
    given = ["APGD", {"class_path": "FAB", "init_args": {"steps": 3}}]
    found = build("on", {"class_path": "WorstCase", "init_args": {"attacks": given}}, "evaluations")
    assert [type(each).__name__ for each in found.attacks] == ["APGD", "FAB"]
