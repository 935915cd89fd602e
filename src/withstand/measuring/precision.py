"""Subjects whose model computes in mixed precision, or is compiled."""

from dataclasses import replace

from torch import nn

from withstand.configuration import identity
from withstand.engine import Engine
from withstand.measuring.subject import Subject
from withstand.models.wrappers.mixed_precision import Precision, check_bf16, in_bf16


def in_precision(subject: Subject, amp: Precision, engine: Engine) -> Subject:
    """Return a subject whose model computes in a precision, which becomes part of what identifies the outcomes.

    If the engine compiles models, a note says so.

    Args:
        subject: With a folder whose name ends with the identity of its configuration, if any.
        amp: `no` leaves what identifies the outcomes unchanged.
        engine: The device.

    Raises:
        InputError: If the device or the model has no mixed precision.
    """
    if engine.compile:
        note = "Models are compiled by torch.compile, which changes their outputs by rounding."
        subject = replace(subject, notes=(*subject.notes, note))
    if amp == "no":
        return subject
    check_bf16(engine.device, who="evaluate")
    plain, config, folder = subject.load, {**subject.config, "amp": amp}, subject.folder

    def load() -> nn.Module:
        return in_bf16(plain(), who=f"evaluate: {subject.name}")

    if folder is not None:
        folder = folder.with_name(folder.name.removesuffix(identity(subject.config)) + identity(config))
    note = f"{subject.name} computes in mixed precision (bfloat16), so its outputs differ from those in float32."
    return replace(subject, load=load, config=config, folder=folder, notes=(*subject.notes, note))
