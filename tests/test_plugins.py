"""Plug-ins: what files, packages and entry points of users promise."""

import pickle
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint

import pytest
import yaml

from withstand import plugins
from withstand.cli import main
from withstand.configuration import discover, foreign_source, identity, source_of
from withstand.errors import InputError
from withstand.experiment import Experiment, plain
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.options import read_experiment
from withstand.perturbations.base import Perturbation

SHIFT = """
from dataclasses import dataclass

from withstand.perturbations.base import Draws, Perturbation


@dataclass(frozen=True, kw_only=True)
class {name}(Perturbation):
    \"\"\"Adds a constant.\"\"\"

    by: float = 0.1

    def draw(self, x, y, model, *, space, num_draws, rng):
        return Draws((x + self.by).clamp(0, 1).expand(num_draws, *x.shape))

    @classmethod
    def examples(cls):
        return [cls()]
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder for plug-ins, which are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_sources", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path  # modules stay imported: their classes live on as subclasses


def write(path, name):
    path.parent.mkdir(exist_ok=True)
    path.write_text(SHIFT.format(name=name))
    return str(path)


def names():
    return [each.__name__ for each in discover(Perturbation)]


def test_a_class_is_known_by_name_only_after_its_plugin_is_named(lab):
    path = write(lab / "shift_a.py", "ShiftA")
    with pytest.raises(InputError, match="ShiftA is not known"):
        read_experiment(["--objective.perturbation", "ShiftA"])
    found = read_experiment(
        ["--plugin", path, "--objective.perturbation", "shift-a", "--objective.perturbation.by", "0.5"]
    )
    assert found.objective.perturbation.by == 0.5
    assert "ShiftA" in names()


def in_another_process(code):
    """Return what another process prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.slow
def test_other_processes_import_the_plugins_of_pickles_and_configurations_by_themselves(lab):
    path = write(lab / "shift_b.py", "ShiftB")
    experiment = read_experiment(["--plugin", path, "--objective.perturbation", "ShiftB"])
    assert plain(experiment)["plugin"] == [path]
    assert "plugin" not in plain(Experiment())
    (lab / "run.yaml").write_text(yaml.safe_dump(plain(experiment)))
    (lab / "experiment.pickle").write_bytes(pickle.dumps(experiment))
    read = "import pickle; print(pickle.load(open('experiment.pickle', 'rb')).identity)\n"
    read += "from withstand.options import read_experiment; print(read_experiment(['--config=run.yaml']).identity)"
    assert in_another_process(read) == [experiment.identity] * 2


@pytest.mark.slow
def test_the_identity_of_a_run_depends_on_the_code_of_its_plugins(lab):
    write(lab / "shift_d.py", "ShiftD")
    words = ["--plugin", "shift_d.py", "--objective.perturbation", "ShiftD"]
    before = read_experiment(words).identity
    assert read_experiment(words).identity == before
    (lab / "shift_d.py").write_text(SHIFT.format(name="ShiftD").replace("x + self.by", "x - self.by"))
    read = f"from withstand.options import read_experiment; print(read_experiment({words}).identity)"
    assert in_another_process(read) != [before]
    assert not foreign_source(Experiment())
    assert Experiment().identity == identity(Experiment())


USES = """
FACTOR = {factor}
UNUSED = {unused}


def helper(x):
    return inner(x) * FACTOR


def inner(x):
    return x + {offset}


class Base:
    def scaled(self, x):
        return x * {scale}


class User(Base):
    def __call__(self, x):
        return [helper(each) for each in x]
"""


def test_the_source_of_a_class_includes_what_it_uses_from_its_file(lab):
    values = {"factor": 1, "offset": 1, "scale": 1, "unused": 1}
    found = {}
    for number, name in enumerate(["", *values]):
        (lab / f"uses{number}.py").write_text(USES.format(**values | ({name: 2} if name else {})))
        found[name] = source_of(plugins.load(str(lab / f"uses{number}.py")).User)
    assert found[""] == found["unused"]
    assert len(set(found.values())) == 4


def test_a_file_may_import_its_neighbours_and_a_package_its_modules(lab):
    write(lab / "base_shift.py", "ShiftE")
    (lab / "user.py").write_text("from base_shift import ShiftE\n")
    plugins.load("user.py")
    assert "base_shift" in sys.modules
    write(lab / "shifts" / "one.py", "ShiftF")
    (lab / "shifts" / "__init__.py").write_text("from shifts import one\n")
    plugins.load("shifts")
    assert "ShiftF" in names()
    assert plugins.load("shifts") is plugins.load(str(lab / "shifts"))


def test_names_of_modules_are_found_in_the_current_folder(lab):
    write(lab / "shift_g.py", "ShiftG")
    plugins.load("shift_g")
    assert "ShiftG" in names()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("wrong.py", "x = (", r"cannot be imported \(SyntaxError"),
        ("raises.py", "raise KeyError('a')", r"cannot be imported \(KeyError"),
        ("leaves.py", "import sys\nsys.exit(3)", r"cannot be imported \(SystemExit"),
        ("needs.py", "import not_installed_here", "No module named 'not_installed_here'"),
        ("yaml.py", "", "has the name of another module"),
        ("torch.py", "", "has the name of another module"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_one_sentence(lab, capsys, name, text, said):
    (lab / name).write_text(text)
    before = set(sys.modules)
    with pytest.raises(InputError, match=said) as refused:
        plugins.load(name)
    assert "\n" not in str(refused.value)
    assert name.removesuffix(".py") in before or name.removesuffix(".py") not in sys.modules
    assert main(["list", "perturbations", "--plugin", name]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("source", ["nope.py", "nope", "no.such.module", "a b", "", "empty", "1"])
def test_what_is_not_there_is_refused(lab, source):
    (lab / "empty").mkdir()
    with pytest.raises(InputError, match="plugin: expected"):
        plugins.load(source)


def test_a_class_that_lacks_a_method_is_named(lab):
    write(lab / "unfinished.py", "ShiftJ")
    text = (lab / "unfinished.py").read_text().partition("    @classmethod")[0]
    (lab / "unfinished.py").write_text(text)
    with pytest.raises(InputError, match="ShiftJ must define examples, as every Perturbation does"):
        read_experiment(["--plugin", "unfinished.py"])


@pytest.mark.parametrize("content", [3, [3], {"a": 1}])
def test_a_list_of_plugins_in_yaml_holds_sources(lab, content):
    (lab / "a.yaml").write_text(yaml.safe_dump({"plugin": content}))
    with pytest.raises(InputError, match="expected files or modules"):
        read_experiment(["--config=a.yaml"])


def test_two_classes_of_one_name_are_refused(lab):
    write(lab / "first.py", "ShiftK")
    write(lab / "second.py", "ShiftK")
    with pytest.raises(InputError, match="first and second both define ShiftK"):
        read_experiment(["--plugin", "first.py", "second.py"])


def test_installed_packages_declare_plugins(lab, monkeypatch):
    write(lab / "installed_lab.py", "ShiftH")
    entries = [EntryPoint("lab", "installed_lab", plugins.GROUP), EntryPoint("gone", "no_such_lab", plugins.GROUP)]
    monkeypatch.setattr(plugins, "entry_points", lambda group: entries if group == plugins.GROUP else [])
    monkeypatch.setattr(sys, "path", [*sys.path, str(lab)])
    plugins.load_installed.cache_clear()
    try:
        with pytest.warns(UserWarning, match="gone is left out"):
            assert "ShiftH" in names()
    finally:
        plugins.load_installed.cache_clear()


def test_nothing_is_imported_that_was_not_named(lab):
    for name in ("conftest.py", "withstand_plugins.py", "sitecustomize.py", "plugin.py"):
        (lab / name).write_text(f"open({str(lab / 'sprung')!r}, 'w')")
    assert main(["list", "perturbations"]) == 0
    read_experiment(["--model", "mlp"])
    assert not (lab / "sprung").exists()


def test_configurations_of_plugins_are_equal_after_a_copy(lab):
    module = plugins.load(write(lab / "shift_i.py", "ShiftI"))
    objective = PerturbedRisk(perturbation=module.ShiftI(by=0.3))
    assert pickle.loads(pickle.dumps(objective)) == objective


@pytest.mark.slow
def test_a_sweep_over_two_nodes_of_ray_uses_a_class_of_each_family(lab):
    """The package of docs/plugins.md, on a cluster of two nodes: a process of its own, since Ray keeps what it imported."""
    import re
    from pathlib import Path

    page = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")
    for text in re.findall(r"(?ms)^```\w+\n(.*?)^```$", page):
        if (found := re.match(r"# ([\w/]+\.(?:py|yaml))\n", text)) is not None:
            (lab / found[1]).parent.mkdir(exist_ok=True)
            (lab / found[1]).write_text(text)
    script = """
        from ray.cluster_utils import Cluster
        from withstand.cli import main

        if __name__ == "__main__":
            small = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
            machines = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
            machines.add_node(**small)
            try:
                raise SystemExit(main(["sweep", "sweep.yaml", "--address", machines.address, "--output", "runs"]))
            finally:
                machines.shutdown()
    """
    (lab / "go.py").write_text(textwrap.dedent(script))
    done = subprocess.run([sys.executable, "go.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list((lab / "runs" / "lab").glob("*/rows.jsonl"))) == 6
    config = yaml.safe_load(next((lab / "runs" / "lab").glob("mirrored-seed0-*/config.yaml")).read_text())
    assert config["plugin"] == [str(lab / "robust_lab")]
