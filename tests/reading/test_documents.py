"""Every reader of YAML and JSON refuses text that is too deep, too large, recursive or of the wrong type."""

import json
from dataclasses import fields
from typing import get_type_hints

import pytest

from withstand.configuration import discover, to_plain
from withstand.errors import InputError
from withstand.families import FAMILIES, every_family, family_of
from withstand.limits import refusal_of
from withstand.models.external.from_transformers import read_preprocessing
from withstand.options import read_experiment
from withstand.parser import build
from withstand.reading import documents
from withstand.reading.documents import check_bounds, parse_yaml
from withstand.study import records
from withstand.sweeps.sweep_file import load
from withstand.training.settings import Training

DEPTH = 20_000
LAUGHS = "\n".join(
    ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    + [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, 12)]
)
TEXTS = {
    "deep lists": "a: " + "[" * DEPTH + "]" * DEPTH,
    "deep mappings": "{a: " * DEPTH + "1" + "}" * DEPTH,
    "unclosed": "[" * DEPTH,
    "recursive list": "a: &a [*a]",
    "recursive mapping": "&a {model: *a}",
    "recursive merge": "a: &a {<<: *a}",
    "aliases of aliases": LAUGHS,
    "merges of merges": LAUGHS.replace("[", "{<<: [")
    .replace("]", "]}")
    .replace("x, ", "{y: 1}, ")
    .replace("x]", "{}]"),
    "digits": "seed: " + "9" * 5000,
    "no time": "seed: 2020-99-99",
    "no whole number": 'seed: !!int "x"',
    "no number": 'seed: !!float "x"',
    "no truth": 'seed: !!bool "x"',
    "code": "seed: !!python/object/apply:os.getcwd []",
    "control": "a\0b",
}
KEYS = {"a number": "{1: 2}", "null": "{null: 1}", "truth": "{true: 1}", "nested": "{a: [{b: {1: 2}}]}"}


def config(text, folder):
    path = folder / "config.yaml"
    path.write_text(text)
    read_experiment(["--config", str(path)])


def sweep(text, folder):
    path = folder / "sweep.yaml"
    path.write_text(text)
    load(str(path))


def condition(text, folder):
    build("on", text, "perturbation")


def option(text, folder):
    read_experiment([f"--model={text}"])


def nested_text(text, folder):
    path = folder / "config.yaml"
    path.write_text(json.dumps({"model": text}))
    read_experiment(["--config", str(path)])


def record(text, folder):
    records.parse_yaml(folder / "config.yaml", text)


DOORS = (config, sweep, condition, option, nested_text, record)


@pytest.mark.parametrize("door", DOORS, ids=lambda each: each.__name__)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_texts_without_bounds_are_refused_in_one_short_sentence(door, text, tmp_path):
    with pytest.raises(InputError) as found:
        door(text, tmp_path)
    assert len(str(found.value)) < 1000
    assert "<class" not in str(found.value)


@pytest.mark.parametrize("door", [config, sweep, condition, option], ids=lambda each: each.__name__)
@pytest.mark.parametrize("text", KEYS.values(), ids=KEYS)
def test_keys_that_are_no_text_are_named(door, text, tmp_path):
    if door is sweep:
        text = f"set: {{model: {text}}}"
    with pytest.raises(InputError, match=r"got the key (1|None|True)"):
        door(text, tmp_path)


def test_a_text_within_the_bounds_is_read_as_before():
    text = "a: &a [1, {b: 2.5}]\nc: *a\nd: {<<: {e: 1}, f: [[[x]]]}\n"
    assert parse_yaml("on", "text", text) == {
        "a": [1, {"b": 2.5}],
        "c": [1, {"b": 2.5}],
        "d": {"e": 1, "f": [[["x"]]]},
    }


@pytest.mark.parametrize(("name", "text"), [("MOST_LEVELS", "[[[[1]]]]"), ("MOST_NODES", "[1, 2, 3, 4]")])
def test_bounds_are_exact(monkeypatch, name, text):
    monkeypatch.setattr(documents, name, 4 if name == "MOST_LEVELS" else 5)
    check_bounds(text)
    monkeypatch.setattr(documents, name, 3 if name == "MOST_LEVELS" else 4)
    with pytest.raises(documents.Unfit):
        check_bounds(text)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize(
    "text",
    [
        '{"a": ' + "[" * DEPTH + "]" * DEPTH + "}",
        '{"image_size": ' + "9" * 5000 + "}",
        "{",
        "[]",
        '{"image_size": "x", "size": "x"}',
        '{"image_size": [], "size": []}',
        '{"image_size": 1e400, "size": 1e400}',
        '{"image_size": NaN, "size": {"height": "x", "width": "x"}}',
        '{"image_size": -3, "size": -3}',
        '{"image_size": true, "size": true}',
        '{"image_size": -3, "image_mean": [NaN, 0, 0], "image_std": [1, 1, 1]}',
    ],
)
def test_configurations_of_transformers_are_refused_in_one_sentence(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError):
        read_preprocessing(tmp_path)


def field_cases():
    keys = {family_of(key): key for key in FAMILIES}
    for family in every_family():
        for cls in discover(family):
            hints = get_type_hints(cls, include_extras=True)
            for each in fields(cls):
                yield pytest.param(cls, keys[family], each.name, hints[each.name], id=f"{cls.__name__}.{each.name}")


def required(cls):
    found = cls.examples() if hasattr(cls, "examples") else []
    first = found[0] if found else None
    first = first[0] if isinstance(first, tuple) else first
    return to_plain(first)["init_args"] if first is not None else {}


@pytest.mark.parametrize(("cls", "key", "name", "hint"), list(field_cases()))
def test_null_and_endless_numbers_in_any_field_are_refused(cls, key, name, hint):
    values = ["9" * 23, "9" * 400, "-" + "9" * 400, ".nan", *(["null"] if refusal_of(hint, None) else [])]
    others = required(cls)
    for value in values:
        text = json.dumps({"class_path": cls.__name__, "init_args": {**others, name: "VALUE"}})
        said, made = "", None
        try:
            made = build("on", text.replace('"VALUE"', value), key)
        except InputError as problem:
            said = str(problem)
        assert len(said) < 1000
        assert "<class" not in said
        if made is not None:  # a float of 23 digits, a text
            assert isinstance(getattr(made, name), float | str | tuple | dict)
            assert value != "null"


@pytest.mark.parametrize("name", [each.name for each in fields(Training)])
def test_null_in_any_field_of_the_training_is_refused(name):
    hint = get_type_hints(Training, include_extras=True)[name]
    if refusal_of(hint, None) is None:
        assert getattr(read_experiment([f"--{name}=null"]).training, name) is None
        return
    with pytest.raises(InputError, match=name.replace("_", ".")):
        read_experiment([f"--{name}=null"])


def test_options_that_are_not_utf8_are_refused(tmp_path):
    with pytest.raises(InputError, match="UTF-8"):
        condition("{class_path: \udcff}", tmp_path)
