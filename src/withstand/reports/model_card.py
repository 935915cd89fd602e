"""Model card of a combination: configuration, results, limitations."""

from typing import Any

from withstand.conditions import JPEG, is_attack, parse_cell
from withstand.rendering.grid import Grid
from withstand.rendering.markdown import escaped, fenced, markdown
from withstand.reports.all_sheet import all_sheet
from withstand.reports.doubts import doubts
from withstand.reports.findings import warnings
from withstand.study.combination import Combination
from withstand.study.digest import Digest
from withstand.study.origin import Origin, commands_of


def model_card(digest: Digest, combination: Combination, origin: Origin) -> str:
    """Return a model card as Markdown."""
    settings = origin.settings
    parts = [f"# {escaped(combination.name)}", "", _about(combination), "", "## Model", "", *_model(settings, origin)]
    parts += ["", "## Data", "", *_fields(settings.get("data"), "Read by")]
    parts += ["", "## Training", "", *_fields(settings.get("objective"), "Objective")]
    parts += _fields(settings.get("training"), "Settings")
    if settings.get("weights"):
        parts.append(f"- Started from the weights {escaped(str(settings['weights']))}.")
    parts += ["", "## Results", "", _results(digest, combination), *_protocol(digest, combination, origin)]
    parts += ["", "## Limits", "", *(f"- {escaped(each)}" for each in limits(digest, combination, origin))]
    commands = [*commands_of([origin]), *([origin.again] if origin.again else [])]
    parts += ["", "## Reproduce", "", *fenced(commands), "", *(f"- {escaped(each)}" for each in origin.versions)]
    return "\n".join(parts) + "\n"


def limits(digest: Digest, combination: Combination, origin: Origin) -> list[str]:
    """Return limitations of a model, in sentences."""
    lines = [key for key in digest.lines if key[0] == combination.index]
    conditions = {condition for _, _, condition in lines}
    kinds = {digest.study.measures[measure].kind for _, measure, _ in lines}
    found = []
    if combination.missing:
        found.append(f"Seeds without a result: {', '.join(map(str, combination.missing))}.")
    if combination.num_done == 1:
        found.append("One seed: the spread over seeds is unknown.")
    if not any(parse_cell(each) for each in conditions):
        found.append("Not measured under the corruptions of ImageNet-C.")
    elif not any(JPEG in each for each in conditions):
        found.append(
            "Corrupted images were not saved as JPEG, so errors cannot be compared with those on the published files."
        )
    if "attacked" in kinds or any(map(is_attack, conditions)):
        found.append("Accuracies under attack are upper bounds; a stronger attack may find lower values.")
    else:
        found.append("Not measured under attack.")
    found += [each for each in doubts(digest) if each.startswith(f"{combination.name}: ")]
    if "certified" not in kinds:
        found.append("No certified bounds.")
    found.append("Measured on the test part of the data above only.")
    found += [each for each in warnings(digest) if each.startswith(f"{combination.name}: ")]
    if origin.differing:
        found.append("Its runs differ in more than the seed; the report's section on runs lists the lines.")
    return found


def _about(combination: Combination) -> str:
    labels = ", ".join(f"{name} = {value}" for name, value in combination.labels.items() if value is not None)
    return f"{escaped(labels)}; {combination.share} runs."


def _model(settings: dict[str, Any], origin: Origin) -> list[str]:
    found = _fields(settings.get("model"), "Network")
    if origin.shape:
        found.append(f"- Inputs: {' x '.join(map(str, origin.shape))}.")
    if origin.classes is not None:
        found.append(f"- Classes: {origin.classes}.")
    return found


def _results(digest: Digest, combination: Combination) -> str:
    """Return all numbers of a combination."""
    table = all_sheet(digest, index=combination.index)
    return markdown(
        Grid(
            title="Over the seeds; low and high are the 95 % interval of the mean",
            columns=table.columns[1:],
            lines=tuple(line[1:] for line in table.cells),
            num_labels=2,
        )
    )


def _protocol(digest: Digest, combination: Combination, origin: Origin) -> list[str]:
    """Return the notes on how it was measured."""
    names = [(measure, condition) for index, measure, condition in digest.lines if index == combination.index]
    attacked = {name for name, each in digest.study.measures.items() if each.kind == "attacked"}
    balls = [condition for measure, condition in names if measure in attacked or is_attack(condition)]
    found = [f"- {escaped(each)}" for each in origin.notes]
    found += [f"- Searched with: {escaped(each)}." for each in dict.fromkeys(balls)]
    saved = {JPEG in condition for _, condition in names if parse_cell(condition)}
    if saved:
        how = "with and without" if len(saved) > 1 else "with" if True in saved else "without"
        found.append(f"- Corrupted images {how} being saved as JPEG.")
    return found


def _fields(content: Any, what: str) -> list[str]:
    """Return a part of a configuration as a list."""
    if not isinstance(content, dict):
        return [f"- {what}: not known."]
    path = content.get("class_path")
    fields = content.get("init_args", content) if path else content
    found = [f"- {what}: {escaped(str(path).rsplit('.', 1)[-1])}"] if path else [f"- {what}:"]
    fields = fields if isinstance(fields, dict) else {}
    found += [f"  - {escaped(str(name))}: {_short(value)}" for name, value in fields.items() if value is not None]
    return found


def _short(value: Any) -> str:
    """Return a value of a configuration in a line."""
    if isinstance(value, dict) and "class_path" in value:
        own = value.get("init_args")
        given = own.items() if isinstance(own, dict) else ()
        inner = ", ".join(f"{escaped(str(k))} {_short(v)}" for k, v in given if v is not None)
        name = str(value["class_path"]).rsplit(".", 1)[-1]
        return f"{escaped(name)} ({inner})" if inner else escaped(name)
    if isinstance(value, dict):
        return ", ".join(f"{escaped(str(k))} {_short(v)}" for k, v in value.items() if v is not None)
    if isinstance(value, list):
        return "[" + ", ".join(map(_short, value)) + "]"
    return escaped(str(value))
