"""The two-way analysis of variance of a complete table of means, networks by units, where both are random."""

from dataclasses import dataclass

import numpy as np

from saliency_stats.typing import Float64Array


@dataclass(frozen=True, eq=False)
class TwoWay:
    """The analysis of variance of a complete table of cells, or of many such tables (any leading shape).

    ``estimate`` is the mean of the cells; ``network``, ``unit`` and ``interaction`` are the mean squares between
    networks, between units, and of the cells about both.
    """

    estimate: Float64Array
    network: Float64Array
    unit: Float64Array
    interaction: Float64Array
    n_networks: int
    n_units: int

    @property
    def freedoms(self) -> tuple[int, int, int]:
        """Degrees of freedom of the three mean squares."""
        between, among = self.n_networks - 1, self.n_units - 1
        return between, among, between * among

    @property
    def variance(self) -> Float64Array:
        """Variance of the estimate, ``(MS_N + MS_S - MS_NS) / KG``, at least that of the larger one-way analysis.

        Without the floor chance makes it too small, even negative, where one factor does not matter.
        """
        larger = np.maximum(self.network, self.unit)
        return np.asarray(np.maximum(self._sum, larger) / (self.n_networks * self.n_units))

    @property
    def df(self) -> Float64Array:
        """Degrees of freedom of the variance: Satterthwaite's (1946, *Biometrics* 2, 110-114), or of its floor."""
        squares = (self.network, self.unit, self.interaction)
        with np.errstate(invalid="ignore", divide="ignore"):  # only where there is no spread at all
            of_sum = self._sum**2 / sum(one**2 / df for one, df in zip(squares, self.freedoms, strict=True))
        between, among, _ = self.freedoms
        of_floor = np.where(self.network > self.unit, between, among)
        return np.where(np.minimum(self.network, self.unit) < self.interaction, of_floor, of_sum)

    @property
    def spreads(self) -> tuple[Float64Array, Float64Array]:
        """(3, ...) variances of the estimate and their degrees of freedom: crossed, networks alone, units alone."""
        cells, (between, among, _) = self.n_networks * self.n_units, self.freedoms
        df = self.df
        return (
            np.stack([self.variance, self.network / cells, self.unit / cells]),
            np.stack([df, np.full_like(df, between), np.full_like(df, among)]),
        )

    @property
    def components(self) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Variances between networks, between units, and of a cell about both; 0 where they come out negative."""
        network = np.maximum(self.network - self.interaction, 0) / self.n_units
        unit = np.maximum(self.unit - self.interaction, 0) / self.n_networks
        return network, unit, self.interaction

    @property
    def network_share(self) -> Float64Array:
        """Share of the variance of the estimate that lies between networks."""
        with np.errstate(invalid="ignore"):  # only where there is no spread at all
            return np.asarray(self.components[0] / self.n_networks / self.variance)

    @property
    def _sum(self) -> Float64Array:
        return np.asarray(self.network + self.unit - self.interaction)


def two_way(means: Float64Array) -> TwoWay:
    """Analyse complete tables (..., K, G) of the means of K networks on G units, K and G at least 2.

    Networks and units are random, and a cell is one value: ``y = mu + N + S + (NS)``. The mean squares are those of the
    textbooks (Searle, Casella and McCulloch 1992, *Variance Components*, section 4.3).
    """
    n_networks, n_units = means.shape[-2:]
    estimate = means.mean(axis=(-2, -1))
    rows = means.mean(axis=-1) - estimate[..., None]
    columns = means.mean(axis=-2) - estimate[..., None]
    rest = means - estimate[..., None, None] - rows[..., :, None] - columns[..., None, :]
    network = n_units * np.sum(rows**2, axis=-1) / (n_networks - 1)
    unit = n_networks * np.sum(columns**2, axis=-1) / (n_units - 1)
    interaction = np.sum(rest**2, axis=(-2, -1)) / ((n_networks - 1) * (n_units - 1))
    return TwoWay(estimate, network, unit, interaction, n_networks, n_units)
