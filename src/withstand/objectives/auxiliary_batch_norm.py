"""Two losses through separate batch normalisation: the split of AdvProp and AFA."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from withstand.data.space import Space
from withstand.errors import InputError
from withstand.functional.random import Rng, branches
from withstand.functional.tensors import PerRow, Points, Targets
from withstand.objectives.base import Batches, Objective, Stateful, Step
from withstand.objectives.perturbed_risk import PerturbedRisk
from withstand.perturbations.augmentations.fourier_noise import FourierNoise
from withstand.perturbations.mixture import Mixture


class AuxiliaryNorms(nn.Module):
    """Auxiliary copies of all batch normalisations of a model: affine parameters and running statistics."""

    def __init__(self, model: nn.Module) -> None:
        """Copy those of the model."""
        super().__init__()
        found = {name: each for name, each in model.named_modules() if isinstance(each, _BatchNorm)}
        if not found:
            raise InputError(
                f"AuxiliaryBatchNorm: expected a model with batch normalisation, got {type(model).__name__} without; "
                "choose another model, such as SmallCNN(batch_norm=True), or the objective PerturbedRisk."
            )
        self.names, self.copies = list(found), nn.ModuleList(deepcopy(each) for each in found.values())

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the copies' parameters and buffers, under their names in the model."""
        for name, each in zip(self.names, self.copies, strict=True):
            for own, tensor in (*each.named_parameters(), *each.named_buffers()):
                yield f"{name}.{own}", tensor


class WithNorms(nn.Module):
    """A model with its auxiliary batch normalisations in place of its own; all else is shared."""

    def __init__(self, model: nn.Module, norms: AuxiliaryNorms) -> None:
        """Keep both."""
        super().__init__()
        self.model, self.norms = model, norms

    def forward(self, x: Tensor) -> Tensor:
        """Return the model's outputs."""
        return functional_call(self.model, dict(self.norms.tensors()), (x,))


class BranchStates:
    """The state: the auxiliary batch normalisations, and the states of both objectives."""

    def __init__(self, norms: AuxiliaryNorms, main: Stateful, auxiliary: Stateful) -> None:
        """Keep them."""
        self.norms, self.main, self.auxiliary = norms, main, auxiliary

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all parts."""
        return {name: part.state_dict() for name, part in vars(self).items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the states of all parts."""
        for name, part in vars(self).items():
            part.load_state_dict(state_dict[name])


@dataclass(frozen=True, kw_only=True)
class AuxiliaryBatchNorm(Objective):
    """Mean of two losses, the second through auxiliary batch normalisation, so that the two do not share statistics.

    The auxiliary batch normalisations start as copies of the model's own. They exist during training only: the
    resulting model contains only its own, which follow the inputs of `main`.

    Attributes:
        main: Loss through the model's own batch normalisations.
        auxiliary: Loss through the auxiliary ones. AFA takes the perturbation `FourierNoise`, AdvProp `PGD`.

    Source:
        Vaish, Wang, Strisciuglio, CVPR 2024, arXiv 2403.01944 (AFA), the auxiliary cross entropy; Xie, Tan,
        Gong, Wang, Yuille, Le 2020, arXiv 1911.09665 (AdvProp).
        Differs: AdvProp takes the sum of both losses.
    """

    operations: ClassVar = frozenset()

    main: Objective = PerturbedRisk()
    auxiliary: Objective = PerturbedRisk(perturbation=FourierNoise())

    def check(self, space: Space) -> None:
        """Check both objectives."""
        self.main.check(space)
        self.auxiliary.check(space)

    def init(self, x: Points, *, model: nn.Module, rng: Rng) -> BranchStates:
        """Return copies of the model's batch normalisations, and fresh states of both objectives."""
        norms, branch = AuxiliaryNorms(model), branches(rng)
        main = self.main.init(x, model=model, rng=branch(0))
        return BranchStates(norms, main, self.auxiliary.init(x, model=WithNorms(model, norms), rng=branch(1)))

    def trained(self, state: Stateful) -> nn.Module:
        """Return the auxiliary batch normalisations, and what both objectives train."""
        assert isinstance(state, BranchStates)
        return nn.ModuleList([state.norms, self.main.trained(state.main), self.auxiliary.trained(state.auxiliary)])

    def begin_epoch(
        self, model: nn.Module, batches: Batches, *, space: Space, state: Stateful, epoch: int, epochs: int, rng: Rng
    ) -> None:
        """Prepare both states."""
        assert isinstance(state, BranchStates)
        branch, when = branches(rng), {"space": space, "epoch": epoch, "epochs": epochs}
        self.main.begin_epoch(model, batches, state=state.main, rng=branch(0), **when)
        other = WithNorms(model, state.norms)
        self.auxiliary.begin_epoch(other, batches, state=state.auxiliary, rng=branch(1), **when)

    def step(
        self,
        model: nn.Module,
        x: Points,
        y: Targets,
        *,
        weight: PerRow | None = None,
        space: Space,
        state: Stateful,
        count: int,
        rng: Rng,
    ) -> Step:
        """Return the mean of both losses."""
        assert isinstance(state, BranchStates)
        branch, options = branches(rng), {"weight": weight, "space": space, "count": count}
        main = self.main.step(model, x, y, state=state.main, rng=branch(0), **options)
        other = WithNorms(model, state.norms)
        auxiliary = self.auxiliary.step(other, x, y, state=state.auxiliary, rng=branch(1), **options)
        return Step((main.loss + auxiliary.loss) / 2, main.logs | auxiliary.logs)

    @classmethod
    def examples(cls) -> list[Objective]:
        """Noise through the auxiliary ones, and through the model's own."""
        noisy = PerturbedRisk(perturbation=Mixture())
        return [cls(auxiliary=noisy), cls(main=noisy, auxiliary=PerturbedRisk())]
