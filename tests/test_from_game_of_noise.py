"""The page for users of the published code names everything that was released, and nothing else."""

import re
from pathlib import Path

from withstand.families import recipes
from withstand.models.released import RELEASES
from withstand.objectives.adversarial_noise import AdversarialNoise

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "how-to" / "from-game-of-noise.md").read_text(encoding="utf-8")


def test_every_released_network_and_every_recipe_is_named():
    assert set(re.findall(r"\bgame-of-noise/[\w-]+", TEXT)) >= set(RELEASES)
    own = {each for each in recipes() if each.startswith("imagenet-")}
    others = {each for each in own if "Published: " in recipes()[each].read_text()}
    assert sorted(each for each in own - others if each not in TEXT) == []
    assert len(own - others) == 7


def test_every_network_that_a_command_names_was_released():
    named = re.findall(r"\bgame-of-noise/[\w-]+", " ".join(re.findall(r"(?m)^ *withstand evaluate .+$", TEXT)))
    assert named
    assert set(named) <= set(RELEASES)


def test_every_field_that_is_named_exists():
    named = {each.replace("-", "_") for each in re.findall(r"--objective\.([a-z-]+)", TEXT)} - {"perturbation"}
    assert named
    assert named <= set(AdversarialNoise.__dataclass_fields__)
