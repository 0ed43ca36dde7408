"""Networks that differ in their heads alone, asked about the same images: what they share sees each image once."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Final, Generic, Self, TypeVar

import torch
from torch import Tensor

from saliency_stats.classifier.frozen import Split, split
from saliency_stats.classifier.network import NetworkClassifier
from saliency_stats.classifier.probing import noise
from saliency_stats.classifier.protocol import Classifier

Name = TypeVar("Name", bound=Hashable)
Other = TypeVar("Other", bound=Hashable)
#: Side of the images that a split is tried on: all but networks of one size, which resize them, take so few pixels.
_TRIED_PX: Final = 96


class Together(Mapping[Name, Classifier], Generic[Name]):
    """Networks by their names, and how those that share a backbone are split; see :func:`together`.

    Parameters
    ----------
    networks
        In evaluation mode.
    splits
        Of those that share: the networks of one family have the same function ``frozen``. The others are computed as
        wholes.
    """

    def __init__(self, networks: Mapping[Name, Classifier], splits: Mapping[Name, Split] | None = None) -> None:
        self._networks, self._splits = dict(networks), dict(splits or {})

    @classmethod
    def of(cls, networks: Mapping[Name, Classifier]) -> "Together[Name]":
        """Take networks as they are: nothing is shared, unless they are together already."""
        return networks if isinstance(networks, Together) else cls(networks)

    def __getitem__(self, name: Name) -> Classifier:
        return self._networks[name]

    def __iter__(self) -> Iterator[Name]:
        return iter(self._networks)

    def __len__(self) -> int:
        return len(self._networks)

    def named(self, names: Mapping[Other, Name]) -> "Together[Other]":
        """Return some of the networks, under other names."""
        splits = {new: self._splits[name] for new, name in names.items() if name in self._splits}
        return Together({new: self._networks[name] for new, name in names.items()}, splits)

    def only(self, names: Iterable[Name]) -> Self:
        """Return some of the networks."""
        return type(self)({name: self._networks[name] for name in names}, self._splits)

    def families(self) -> list[dict[Name, Split]]:
        """Return the splits of networks that share, family by family; a network without a relative is in none."""
        found: dict[int, dict[Name, Split]] = {}
        for name in self:
            if name in self._splits:
                found.setdefault(id(self._splits[name].frozen), {})[name] = self._splits[name]
        return [family for family in found.values() if len(family) > 1]

    @torch.no_grad()
    def logits(self, images: Tensor) -> dict[Name, Tensor]:
        """Classify images (N, 3, H, W), float in [0, 1], by every network: logits (N, 2)."""
        found: dict[Name, Tensor] = {}
        for family in self.families():
            inputs = next(iter(family.values())).frozen(images)
            found |= {name: made.head(*inputs) for name, made in family.items()}
        return {name: found[name] if name in found else network(images) for name, network in self.items()}


def together(networks: Mapping[Name, Classifier]) -> Together[Name]:
    """Find out which networks differ in their heads alone, and split those.

    Networks may be traced here, which takes over the calls of all modules (:mod:`.graphs`): no other thread may
    compute meanwhile.

    Parameters
    ----------
    networks
        In evaluation mode, on one device.
    """
    families: list[dict[Name, NetworkClassifier]] = []
    for name, network in networks.items():
        if isinstance(network, NetworkClassifier):
            kin = (family for family in families if _differ_in_heads(next(iter(family.values())), network))
            family = next(kin, None)
            if family is None:
                families.append({name: network})
            else:
                family[name] = network
    splits: dict[Name, Split] = {}
    for family in families:
        if len(family) > 1:
            splits |= _shared(family)
    return Together(networks, splits)


def _differ_in_heads(first: NetworkClassifier, second: NetworkClassifier) -> bool:
    """Tell whether all that two networks have learned is the same outside of their heads."""
    if first.head != second.head:
        return False
    one, other = first.state_dict(), second.state_dict()
    frozen = [key for key in one if not key.startswith(first.head)]
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in frozen)


@torch.no_grad()
def _shared(family: Mapping[Name, NetworkClassifier]) -> dict[Name, Split]:
    """Split a family at its heads; nothing where the parts are not the networks, tried as they will be used."""
    device = next(next(iter(family.values())).parameters()).device
    images = noise(_TRIED_PX).to(device)
    splits = {name: split(network, images) for name, network in family.items()}
    made = {name: one for name, one in splits.items() if one is not None}
    if len(made) < len(family):
        return {}
    frozen = next(iter(made.values())).frozen
    inputs = frozen(images)
    # the first once more at the end: a head that overwrites its inputs would spoil them for the others
    for name in (*family, next(iter(family))):
        if not torch.allclose(made[name].head(*inputs), family[name](images), rtol=1e-4, atol=1e-5):
            return {}
    return {name: Split(frozen, one.head) for name, one in made.items()}
