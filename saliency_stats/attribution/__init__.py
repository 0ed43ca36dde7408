"""Where the saliency lies: the ledger of compartments and the profile around nuclei."""

from saliency_stats.attribution.ledger import Shares, ledger, shares
from saliency_stats.attribution.profile import (
    PROFILE_KEY,
    DistanceBins,
    combine,
    profile,
    signed_distance_um,
)

__all__ = [
    "PROFILE_KEY",
    "DistanceBins",
    "Shares",
    "combine",
    "ledger",
    "profile",
    "shares",
    "signed_distance_um",
]
