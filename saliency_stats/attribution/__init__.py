"""Where the saliency lies: the ledger of compartments and the profile around nuclei."""

from saliency_stats.attribution.ledger import Shares, ledger, shares
from saliency_stats.attribution.nulls import shift_table
from saliency_stats.attribution.profile import (
    PROFILE_KEY,
    DistanceBins,
    combine,
    profile,
    signed_distance_um,
)
from saliency_stats.attribution.relevance import relevance

__all__ = [
    "PROFILE_KEY",
    "DistanceBins",
    "Shares",
    "combine",
    "ledger",
    "profile",
    "relevance",
    "shares",
    "shift_table",
    "signed_distance_um",
]
