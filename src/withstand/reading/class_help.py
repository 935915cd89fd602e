"""Help for the fields of a class that an option may name: `--objective.perturbation.help AugMix`."""

import re
from argparse import SUPPRESS
from collections.abc import Iterable

from jsonargparse import ArgumentParser

from withstand.configuration import discover
from withstand.errors import InputError
from withstand.families import FAMILIES, family_of, friendly

REQUEST = r"--([\w.]+)\.help(?:=(?:[\w.]+\.)?(\w+))?"


def print_class_help(parser: ArgumentParser, words: Iterable[str]) -> None:
    """Print the fields of the first class whose help is requested, as options with their whole names, and exit.

    Unknown classes are left to the parser, which rejects them.

    Args:
        parser: That of the command.
        words: Options as `spell` writes them.

    Raises:
        InputError: If help is requested without a class.
    """
    for found in filter(None, (re.fullmatch(REQUEST, each) for each in words)):
        path, name = found.groups()
        key = path.rpartition(".")[2]
        if key in FAMILIES and name is None:
            raise InputError(f"option --{friendly(path)}.help: expected the name of a class, got none.")
        for cls in discover(family_of(key)) if key in FAMILIES else ():
            if cls.__name__ == name:
                _help_parser(parser, path, cls).print_help()
                parser.exit()


def _help_parser(parser: ArgumentParser, path: str, cls: type) -> ArgumentParser:
    own = ArgumentParser(
        usage=f"{parser.prog} --{friendly(path)} {cls.__name__} [OPTIONS]",
        formatter_class=parser.formatter_class,
        add_help=False,
        print_config=None,
    )
    own.add_class_arguments(cls, path)
    for action in own._actions:
        if action.dest == path:  # jsonargparse's option for all fields at once
            action.help = SUPPRESS
    return own
