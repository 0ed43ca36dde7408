"""The architecture of a 2D StarDist network, as its files describe it: checked before a network is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from saliency_stats.errors import CompartmentError, shown

#: Names of Keras that are known.
ACTIVATIONS: Final = ("relu", "elu", "tanh", "sigmoid", "linear")
_KNOWN: Final = ", ".join(ACTIVATIONS)
#: Several times what any published model has, and what still fits a machine.
_RANGES: Final = {
    "n_rays": (3, 512),
    "n_channel_in": (1, 16),
    "n_classes": (1, 1000),
    "unet_n_depth": (1, 8),
    "unet_n_filter_base": (1, 1024),
    "unet_n_conv_per_depth": (1, 8),
    "net_conv_after_unet": (0, 4096),
}
_PAIRS: Final = {"grid": 32, "unet_kernel_size": 15, "unet_pool": 8}
_EXPANSION: Final = 4
_LONGEST_PREFIX: Final = 100
#: Filters of the deepest level.
MAX_FILTERS: Final = 8192
#: Images are padded to multiples of it.
MAX_DIVISOR: Final = 1024
#: Without these a file describes no network of its own: the defaults are those of another.
_NEEDED: Final = ("n_rays", "n_channel_in", "grid")


@dataclass(frozen=True)
class StarDistConfig:
    """Architecture of a 2D StarDist network, in the words of stardist's ``config.json``.

    Parameters
    ----------
    n_rays
        Radial directions of a polygon.
    n_channel_in
        Image channels.
    grid
        Subsampling of the prediction (y, x), powers of 2.
    n_classes
        Object classes, or None; the class head is read but not used here.
    unet_n_depth, unet_kernel_size, unet_n_filter_base, unet_n_conv_per_depth, unet_pool, unet_expansion
        Shape of the U-Net.
    unet_activation, unet_last_activation
        Names of Keras activations.
    unet_batch_norm
        Whether a batch normalisation follows every convolution of the U-Net.
    unet_prefix
        Before the names of the U-Net's layers.
    net_conv_after_unet
        Filters of the convolution after the U-Net; 0 for none.
    """

    n_rays: int = 32
    n_channel_in: int = 1
    grid: tuple[int, int] = (1, 1)
    n_classes: int | None = None
    unet_n_depth: int = 3
    unet_kernel_size: tuple[int, int] = (3, 3)
    unet_n_filter_base: int = 32
    unet_n_conv_per_depth: int = 2
    unet_pool: tuple[int, int] = (2, 2)
    unet_activation: str = "relu"
    unet_last_activation: str = "relu"
    unet_batch_norm: bool = False
    unet_prefix: str = ""
    unet_expansion: float = 2
    net_conv_after_unet: int = 128

    def __post_init__(self) -> None:
        faults = [fault for name in _RANGES for fault in self._whole(name)]
        faults += [fault for name in _PAIRS for fault in self._pair(name)]
        for name in ("unet_activation", "unet_last_activation"):
            if getattr(self, name) not in list(ACTIVATIONS):
                faults.append(f"{name} {shown(getattr(self, name))} is not known, expected one of {_KNOWN}")
        if not isinstance(self.unet_batch_norm, bool):
            faults.append(f"unet_batch_norm must be true or false, found {shown(self.unet_batch_norm)}")
        if not isinstance(self.unet_prefix, str) or len(self.unet_prefix) > _LONGEST_PREFIX:
            faults.append(f"unet_prefix must be a short text, found {shown(self.unet_prefix)}")
        expansion = self.unet_expansion
        if isinstance(expansion, bool) or not isinstance(expansion, (int, float)) or not 1 <= expansion <= _EXPANSION:
            faults.append(f"unet_expansion must be a number from 1 to {_EXPANSION}, found {shown(expansion)}")
        if not faults:
            faults = self._too_large()
        if faults:
            raise CompartmentError(f"{'; '.join(faults)}.")

    def _whole(self, name: str) -> list[str]:
        value, (least, most) = getattr(self, name), _RANGES[name]
        if name == "n_classes" and value is None:
            return []
        if not _is_whole(value) or not least <= value <= most:
            return [f"{name} must be a whole number from {least} to {most}, found {shown(value)}"]
        object.__setattr__(self, name, int(value))
        return []

    def _pair(self, name: str) -> list[str]:
        pair, most = getattr(self, name), _PAIRS[name]
        two = isinstance(pair, (list, tuple)) and len(pair) == 2  # noqa: PLR2004 - (y, x)
        if not two or not all(_is_whole(value) and 1 <= value <= most for value in pair):
            return [f"{name} must be two whole numbers (y, x) from 1 to {most}, found {shown(pair)}"]
        pair = int(pair[0]), int(pair[1])
        object.__setattr__(self, name, pair)
        if name == "grid" and any(value & (value - 1) for value in pair):
            return [f"grid must be powers of 2, found {pair}"]
        if name == "unet_kernel_size" and not all(value % 2 for value in pair):
            return [f"unet_kernel_size must be odd, found {pair}"]
        return []

    def _too_large(self) -> list[str]:
        faults = []
        widest = int(self.unet_n_filter_base * self.unet_expansion**self.unet_n_depth)
        if widest > MAX_FILTERS:
            faults.append(
                f"unet_n_filter_base * unet_expansion ** unet_n_depth is {widest:,} filters, at most {MAX_FILTERS} fit"
            )
        if max(self.divisor) > MAX_DIVISOR:
            faults.append(f"grid * unet_pool ** unet_n_depth is {self.divisor} px, at most {MAX_DIVISOR} fit")
        return faults

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str) -> "StarDistConfig":
        """Take what matters of a ``config.json``; keys about training are left out.

        Raises
        ------
        CompartmentError
            If it describes another kind of network, or one that cannot be, naming ``where`` it was found.
        """
        for key, expected in (("n_dim", 2), ("backbone", "unet")):
            if content.get(key, expected) != expected:
                raise CompartmentError(
                    f"{where}: {key} is {shown(content[key])}, expected {expected!r}: only 2D StarDist models are read."
                )
        absent = [key for key in _NEEDED if content.get(key) is None]
        if absent:
            raise CompartmentError(
                f"{where}: no {', '.join(absent)}; expected the configuration that stardist writes beside its weights."
            )
        given = {field.name: content[field.name] for field in fields(cls) if content.get(field.name) is not None}
        try:
            return cls(**given)
        except CompartmentError as error:
            raise CompartmentError(f"{where}: {error}") from error

    @property
    def divisor(self) -> tuple[int, int]:
        """Multiples to which an image's height and width are padded."""
        (gy, gx), (py, px), depth = self.grid, self.unet_pool, self.unet_n_depth
        return gy * py**depth, gx * px**depth

    @property
    def margin(self) -> tuple[int, int]:
        """Rows and columns of image around a grid point beyond which nothing reaches it: an upper bound."""
        return self._reach(0), self._reach(1)

    def _reach(self, axis: int) -> int:
        half, pool, convolutions = self.unet_kernel_size[axis] // 2, self.unet_pool[axis], self.unet_n_conv_per_depth
        reach, scale = 0, 1
        while scale < self.grid[axis]:
            reach, scale = reach + convolutions * half * scale, scale * 2
        # down and up again at every level, and pooling and up-sampling see up to one coarser pixel further
        for level in range(self.unet_n_depth):
            reach += 2 * convolutions * half * scale * int(pool**level)
        deepest = scale * int(pool**self.unet_n_depth)
        return reach + convolutions * half * deepest + half * scale + 2 * deepest


def _is_whole(value: Any) -> bool:
    return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
