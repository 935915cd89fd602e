"""Plug-ins: modules of the user, given as file, folder or module name, whose classes options may name."""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import warnings
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from withstand.errors import InputError, brief, nearest, told
from withstand.reading.places import expanded, is_file, is_folder

GROUP = "withstand.plugins"  # of entry points
CODE = re.compile(r"(?P<module>.+\.py|[A-Za-z_][\w.]*):(?P<name>[A-Za-z_][\w.]*)")

MODEL_FILES = (".onnx", ".pt2", ".pt", ".ts", ".torchscript")
_FILES = ", ".join(MODEL_FILES)
SOURCES = f"FILE.py:NAME, package.module:NAME, a file ({_FILES}) or a folder of transformers with its config.json"

# Sources of the loaded plug-ins, by the name of their top-level module.
_sources: dict[str, str] = {}
_folders: set[str] = set()  # from which files were imported


class _Loader(SourceFileLoader):
    """Compiles a file whenever it is loaded: cached byte code may be that of another version from the same second."""

    def get_code(self, fullname: str) -> Any:
        """Compile the file."""
        return self.source_to_code(self.get_data(self.path), self.path)


def load(source: str) -> ModuleType:
    """Import a plug-in: the classes that it defines can be named in options and YAML.

    A file is imported as a module of its own name, and its folder is appended to the import path, so that it can import
    its neighbours.

    Args:
        source: Path of a Python file, of the folder of a package, or name of a module (`package.module`), which may be
            in the current folder.

    Raises:
        InputError: If it is not found, cannot be imported, or its name is taken by another module.
    """
    path = expanded(source)
    if path.suffix == ".py" or is_file(path / "__init__.py"):
        module, key = _of_file("plugin", path, name=re.sub(r"\W", "_", path.stem)), str(path.resolve())
    elif is_folder(path):
        raise InputError(f"plugin: expected a file, or a folder with an __init__.py, got the folder {source}.")
    else:
        module = _of_name("plugin", source)
        key = source
    _sources.setdefault(module.__name__.partition(".")[0], key)
    return module


@cache
def load_installed() -> None:
    """Import the plug-ins that installed packages declare as entry points `withstand.plugins`.

    One that cannot be imported gives a warning.
    """
    for each in entry_points(group=GROUP):
        try:
            load(each.module)
        except InputError as problem:
            warnings.warn(f"the installed plug-in {each.name} is left out ({problem})", UserWarning, stacklevel=2)


def names() -> tuple[str, ...]:
    """Return the names of the top-level modules of all loaded plug-ins."""
    return tuple(_sources)


def modules() -> list[ModuleType]:
    """Return the modules that were imported from files and folders of the user."""
    files = [(module, getattr(module, "__file__", None) or "") for module in list(sys.modules.values())]
    own = [(module, Path(file)) for module, file in files if file and any(map(file.startswith, _folders))]
    return [module for module, file in own if "site-packages" not in file.parts and str(_root(file)) in _folders]


def source_of(cls: type) -> str | None:
    """Return the source of the plug-in that defines a class; None if none does."""
    return _sources.get(cls.__module__.partition(".")[0])


def unfinished(family: type) -> list[Any]:
    """Return the classes of plug-ins below a family that are abstract, and that no class completes."""
    below = [cls for cls in family.__subclasses__() if source_of(cls)]
    found = [each for cls in below for each in unfinished(cls)]
    return found + [cls for cls in below if inspect.isabstract(cls) and not cls.__subclasses__()]


def find(who: str, source: str) -> Any:
    """Return the object of a source `FILE.py:NAME` or `package.module:NAME`.

    A file that has changed since it was imported is imported again. It may have the name of another module.

    Raises:
        InputError: If the module cannot be imported, or has no such name.
    """
    found = CODE.fullmatch(source)
    if found is None:
        raise InputError(f"{who}: expected FILE.py:NAME or package.module:NAME, got {brief(source)}.")
    if found["module"].endswith(".py"):
        path = expanded(found["module"])
        module = next((sys.modules[name] for name, own in _sources.items() if own == str(path.resolve())), None)
        module = module or _of_file(who, path, name=_own_name(path))
    else:
        module = _of_name(who, found["module"])
    value: Any = module
    for part in found["name"].split("."):
        if not hasattr(value, part):
            known = [each for each in vars(module) if not each.startswith("_") and callable(getattr(module, each))]
            raise InputError(f"{who}: {found['module']} has no {found['name']}; {nearest(found['name'], known)}")
        value = getattr(value, part)
    return value


def is_source(name: str) -> bool:
    """Return whether a name is the source of a model from outside the package.

    Example:
        >>> [is_source(each) for each in ("net.py:build", "lab.nets:Wide", "net.onnx", "resnet18", "timm/vit_tiny")]
        [True, True, True, False, False]
    """
    path = Path(name)
    if CODE.fullmatch(name) is not None or path.suffix.lower() in (".py", *MODEL_FILES):
        return True
    return is_file(expanded(path) / "config.json")


def file_of(source: str) -> Path | None:
    """Return the file of a source `FILE.py:NAME` or `package.module:NAME`; None if there is none."""
    found = CODE.fullmatch(source)
    if found is None:
        return None
    if found["module"].endswith(".py"):
        return expanded(found["module"])
    origin = getattr(_of_name("model", found["module"]), "__file__", None)
    return None if origin is None else Path(origin)


def files_imported_by(path: Path) -> list[Path]:
    """Return a Python file and the files that it imports, directly or not, from its own folder or package.

    Installed packages are not searched.
    """
    root = _root(path)
    found: dict[Path, None] = {}
    pending = [path.resolve()]
    while pending:
        file = pending.pop()
        if file not in found:
            found[file] = None
            if "site-packages" not in root.parts:
                pending += [own for base, name in _imports(file, root) for own in _files_of(base, name)]
    return sorted(found)


def _root(path: Path) -> Path:
    """Return the folder that must be on the import path for a file."""
    root = path.resolve().parent
    while is_file(root / "__init__.py"):
        root = root.parent
    return root


def _imports(file: Path, root: Path) -> list[tuple[Path, str]]:
    """Return what a file imports: folders, and names of modules (or of things in them) below these."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (OSError, SyntaxError, ValueError):  # reported when it is imported
        return []
    found = [(root, each.name) for node in nodes if isinstance(node, ast.Import) for each in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            base = file.parents[node.level - 1] if node.level else root
            found += [(base, f"{node.module or ''}.{each.name}".removeprefix(".")) for each in node.names]
    return found


def _files_of(base: Path, name: str) -> list[Path]:
    """Return the files of a module and its parents below a folder."""
    parts = name.split(".")
    places = [base.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
    files = [file for each in places for file in (each.with_name(f"{each.name}.py"), each / "__init__.py")]
    return [each.resolve() for each in files if is_file(each)]


def _check_neighbours(who: str, file: Path) -> None:
    """Refuse a file whose neighbour has the name of another plug-in's neighbour, which Python would import instead."""
    root = _root(file)
    for base, name in _imports(file, root):
        top = name.partition(".")[0]
        own = _files_of(base, top) if base == root else []
        origin = getattr(_spec(top), "origin", None) if own else None
        if origin is None or Path(origin).resolve() in own:
            continue
        if str(_root(Path(origin))) in _folders:
            raise InputError(f"{who}: {file} imports {top}, but another {top} is in use, {origin}; rename one of them.")


def _own_name(path: Path) -> str:
    """Return a module name that another file, or another version of this one, does not have."""
    content = path.read_bytes() if is_file(path) else b""
    digest = hashlib.sha256(str(path.resolve()).encode() + content).hexdigest()[:12]
    return f"{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"


def _of_file(who: str, path: Path, *, name: str) -> ModuleType:
    """Import a file, or the package in a folder, as a module of a name."""
    file = path / "__init__.py" if is_folder(path) else path
    if not is_file(file):
        raise InputError(f"{who}: expected a Python file, found none at {brief(str(path))}.")
    file = file.resolve()
    known = sys.modules.get(name)
    origin = getattr(known, "__file__", None) if known else getattr(_spec(name), "origin", None)
    if known is not None and origin is not None and Path(origin).resolve() == file:
        return known
    if known is not None or (origin is not None and Path(origin).resolve() != file):
        raise InputError(f"{who}: {path} has the name of another module, {name}; rename it.")
    folder = str(file.parent.parent if is_folder(path) else file.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    _folders.add(folder)
    _check_neighbours(who, file)
    spec = importlib.util.spec_from_file_location(name, file, loader=_Loader(name, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as problem:
        del sys.modules[name]
        raise _reported(who, str(path), problem) from problem
    return module


def _of_name(who: str, name: str) -> ModuleType:
    """Import a module by name, from the current folder too."""
    if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name) is None:
        raise InputError(f"{who}: expected a Python file or the name of a module, got {brief(name)}.")
    if "" not in sys.path and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except BaseException as problem:
        if isinstance(problem, ModuleNotFoundError) and f"{name}.".startswith(f"{problem.name}."):
            raise InputError(f"{who}: expected a Python file or an installed module, got {brief(name)}.") from problem
        raise _reported(who, name, problem) from problem


def _reported(who: str, source: str, problem: BaseException) -> BaseException:
    """Return the error to raise for a failed import."""
    if not isinstance(problem, Exception | SystemExit):
        return problem
    said = f"{type(problem).__name__}: {brief(told(problem))}"
    return InputError(f"{who}: {brief(source)} cannot be imported ({said}).")


def _spec(name: str) -> Any:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
