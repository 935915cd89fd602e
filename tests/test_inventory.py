"""What the source as a whole may and may not contain, and who imports what."""

import ast
import importlib.util
import re
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

import withstand
from withstand.configuration import discover

SOURCE = Path(withstand.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))


def places(pattern: str, *, besides: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{path.relative_to(SOURCE)}:{number}: {line.strip()}"
        for path in FILES
        if str(path.relative_to(SOURCE)) not in besides
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(pattern, line) and not line.strip().startswith(("#", ">>>", "..."))
    ]


@cache
def name_of(call: ast.Call) -> str:
    return ast.unparse(call.func)


def matches(call: ast.Call, *patterns: str) -> bool:
    return any(fnmatch(name_of(call), pattern) for pattern in patterns)


def is_unsafe(call: ast.Call) -> bool:
    """Return whether a call runs code or commands that data could name, or trusts what it should check."""
    options = {each.arg: ast.unparse(each.value) for each in call.keywords}
    first = call.func.id if isinstance(call.func, ast.Name) else ""
    return (
        first in ("eval", "exec", "compile", "__import__")
        or matches(call, "pickle.load*", "*.Unpickler", "marshal.*", "shelve.*", "dill.*", "cloudpickle.*", "joblib.*")
        or matches(
            call, "yaml.load", "yaml.load_all", "yaml.unsafe_*", "yaml.full_*", "torch.hub.*", "*.add_safe_globals"
        )
        or matches(call, "os.system", "os.popen", "os.exec*", "os.spawn*", "os.posix_spawn*", "subprocess.get*")
        or matches(call, "tempfile.mktemp", "*.extractall", "shutil.unpack_archive", "*_create_unverified_context")
        or (matches(call, "torch.load") and options.get("weights_only") != "True")
        or (matches(call, "Environment", "jinja2.*") and "autoescape" not in options)
        or bool(UNSAFE_OPTIONS & options.items())
    )


UNSAFE_OPTIONS = {
    ("weights_only", "False"),
    ("allow_pickle", "True"),
    ("shell", "True"),
    ("verify", "False"),
    ("trust_remote_code", "True"),
    ("check_hostname", "False"),
}
UNSAFE_CALLS = """eval(x); exec(x); compile(x, "", "exec"); __import__(x); pickle.load(f); pickle.loads(b); pickle.Unpickler(f)
torch.load(f); torch.load(f, weights_only=False); np.load(f, allow_pickle=True); joblib.load(f); dill.loads(b); marshal.loads(b)
yaml.load(t); yaml.load(t, Loader=yaml.Loader); yaml.unsafe_load(t); yaml.full_load(t); torch.hub.load(a, b); os.system(c)
os.popen(c); os.execv(c, w); os.spawnl(c); subprocess.run(c, shell=True); subprocess.getoutput(c); tempfile.mktemp()
archive.extractall(p); requests.get(u, verify=False); ssl._create_unverified_context(); Environment(loader=l)
AutoModel.from_pretrained(n, trust_remote_code=True); shelve.open(p); torch.serialization.add_safe_globals([c])"""


def calls_in(text: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


# What one process packs for its own workers, which check the digest that came with the block before they unpack it.
SENT = SOURCE / "pools" / "shared.py"


def test_nothing_is_loaded_in_a_way_that_could_run_code():
    benchmarks = sorted((SOURCE.parents[1] / "benchmarks").rglob("*.py"))
    assert benchmarks
    for path in (*FILES, *benchmarks):
        text = path.read_text(encoding="utf-8")
        if path == SENT:
            continue
        assert not [f"{path}:{call.lineno}" for call in calls_in(text) if is_unsafe(call)]
        assert "CERT_NONE" not in text, path
        assert not re.search(r"^\s*(from|import) (dill|cloudpickle|joblib|marshal|shelve)\b", text, re.MULTILINE), path


def test_the_list_of_unsafe_calls_finds_each_of_them():
    calls = [each.strip() for each in UNSAFE_CALLS.replace("\n", ";").split(";")]
    assert not [each for each in calls if not any(map(is_unsafe, calls_in(each)))]
    assert not any(
        map(is_unsafe, calls_in("torch.load(f, weights_only=True); np.load(f); yaml.safe_load(t); re.compile(p)"))
    )


def test_csv_for_people_is_written_in_one_place():
    assert {each.split(":")[0] for each in places(r"\.(write_csv|to_csv)\(|csv\.(writer|DictWriter)\b")} == {
        "rendering/csv.py"
    }


def test_files_are_removed_where_links_are_refused():
    # The others remove a file of a fixed name, or a temporary one that they made themselves.
    assert {each.split(":")[0] for each in places(r"\brmtree\(")} <= {
        "files.py",
        "measuring/subject.py",
        "copies/writing.py",
    }


# The readers of files of our own and from outside, and where JSON is no file or part of one.
READERS = ("study/records.py", "reading/documents.py")
OTHERS = ("data/images/class_map.py", "measuring/kept.py", "models/external/pt2_archive.py", "pools/slurm.py")


def test_files_of_our_own_are_read_by_one_reader():
    assert not places(r"\bjson\.loads?\(|yaml\.safe_load\(|SafeLoader\b", besides=READERS + OTHERS)


def test_pickles_are_read_by_the_restricted_reader_only():
    assert {each.split(":")[0] for each in places(r"\bpickle\.Unpickler\b")} <= {"data/images/array_pickle.py"}


BUILDERS = (
    "models/base.py",
    "models/wrappers/expectation.py",
    "models/external/external.py",
    "engine.py",
    "functional/random.py",
)


def test_global_generators_are_neither_seeded_nor_read():
    # The trainer seeds the global one for dropout, inside fork_rng; likewise Model.build for initial weights, and the
    # expectation over a model that draws from it. That one also seeds and restores those of NumPy and Python, from which
    # such a model may draw.
    assert not places(r"torch\.manual_seed\(|torch\.seed\(")
    assert not places(r"torch\.default_generator", besides=BUILDERS)
    # Scripts that call the functions of imagecorruptions seed numpy's.
    pattern = r"\b(np|numpy)\.random\.(?!default_rng\(\d)|^import random$|^from random import"
    assert not places(pattern, besides=("compat/functions.py", "models/wrappers/expectation.py"))
    assert not places(r"torch\.(rand|randn|randint|randperm|normal|bernoulli|multinomial)\((?!.*generator)")


def test_no_loader_takes_its_seed_from_the_global_generator():
    calls = [
        (f"{path.relative_to(SOURCE)}:{node.lineno}", {each.arg for each in node.keywords})
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("DataLoader", "random_split")
    ]
    assert len(calls) >= 2
    assert not [place for place, options in calls if "generator" not in options]


# Where `.double()` meets tensors on the CPU only.
ON_THE_CPU = ("data/", "estimators/", "tables/", "evaluation/landscape.py", "evaluation/lipschitz.py", "evaluation/noise_distance.py",
    "functional/kernels/disk.py", "functional/kernels/poisson.py", "functional/precision.py", "functional/sobol.py")  # fmt: skip


def test_float64_is_asked_for_on_the_cpu_or_through_one_helper():
    # Apple's GPUs have none; tests/functional/test_precision.py runs what is drawn on a stand-in for one.
    found = places(r"(?<!\.cpu\(\))\.double\(\)")
    assert not [each for each in found if not each.startswith(ON_THE_CPU)]
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            options = {each.arg: ast.unparse(each.value) for each in getattr(node, "keywords", ())}
            if options.get("dtype") == "torch.float64" and not path.match("evaluation/noise_distance.py"):
                assert options.get("device", "'cpu'") == "'cpu'", f"{path}:{node.lineno}"


def test_nothing_prints():
    calls = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not calls


def test_files_are_short_and_none_is_a_drawer_for_odds_and_ends():
    assert not [path.name for path in FILES if path.stem in ("utils", "helpers", "misc")]
    long = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not {name: length for name, length in long.items() if length > 330}


def test_annotations_are_never_postponed():
    assert not places(r"from __future__ import annotations")


def test_every_module_says_what_it_is_in_its_first_line():
    for path in FILES:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert docstring, path
        assert docstring.splitlines()[0].endswith((".", ":", "?")), path


def loaded(statement: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has loaded after a statement."""
    watched = ("torch", "torchvision", "timm", "polars", "matplotlib", "sklearn", "jsonargparse", "rich")
    script = f"import sys; {statement}; sys.stderr.write(' '.join(m for m in {watched} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_help_and_version_need_none_of_the_heavy_packages():
    calls = "from withstand.cli import main; " + "; ".join(
        f"assert main({words}) == 0" for words in (["--help"], ["--version"], ["-h"])
    )
    assert not loaded(calls)
    assert not loaded("import withstand")


def test_results_and_reports_are_made_without_torch():
    modules = [
        ".".join(("withstand", *path.relative_to(SOURCE).with_suffix("").parts))
        for path in FILES
        if path.relative_to(SOURCE).parts[0] in ("study", "reports") and path.stem != "__init__"
    ]
    assert len(modules) >= 3
    assert "torch" not in loaded(f"import {', '.join(modules)}")


def test_training_and_measuring_need_neither_tables_nor_figures_nor_vision():
    found = loaded("import withstand.training.trainer, withstand.evaluation.accuracy, withstand.experiment")
    assert found <= {"torch"}


@pytest.mark.parametrize("package", ["torchvision", "timm", "ray", "matplotlib", "polars", "sklearn"])
def test_heavy_packages_are_imported_where_they_are_used(package):
    inside_functions_only = places(rf"^(import|from) {package}\b", besides=("cluster.py",))
    # An estimator is a subclass of scikit-learn's; nothing that is not one imports it.
    own = {"polars": "tables/", "sklearn": "estimators/"}
    allowed = ("study/", "reports/", *((own[package],) if package in own else ()))
    assert not [each for each in inside_functions_only if not each.startswith(allowed)]


def test_every_module_can_be_imported_alone_by_its_name():
    for path in FILES:
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(("withstand", *(part for part in parts if part != "__init__")))
        assert importlib.util.find_spec(name) is not None


def test_the_public_names_are_those_of_the_list_and_hold_every_family_and_every_corruption():
    assert "__getattr__" in vars(withstand)
    for name in withstand.__all__:
        assert getattr(withstand, name).__name__ == name
    families = {"Perturbation", "Corruption", "Objective", "Evaluation", "Dataset", "Model"}
    results = {"Results", "OutcomeTable", "Measure", "Question", "Draws", "Split", "Space", "Sample"}
    assert families | results <= set(withstand.__all__)
    for base in (withstand.Corruption, withstand.Evaluation, withstand.Perturbation, withstand.Dataset):
        for cls in discover(base):
            assert getattr(withstand, cls.__name__) is cls


def test_home_folders_are_found_in_one_place():
    # `Path.expanduser` raises RuntimeError for users that do not exist.
    assert not places(r"\.expanduser\(\)")


def test_results_of_benchmarks_name_no_folder_of_a_machine():
    results = Path(__file__).parents[1] / "benchmarks" / "results"
    assert not [
        each.name for each in results.glob("*.json") if re.search(r'"/(tmp|home|root|work|opt)/', each.read_text())
    ]
