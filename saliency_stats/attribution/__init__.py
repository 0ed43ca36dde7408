"""Where the saliency lies: the ledger of compartments and the profile around nuclei."""

from saliency_stats.attribution.checked import Maps, Memberships, checked_memberships, checked_saliency
from saliency_stats.attribution.ledger import CrossedShares, Shares, crossed_shares, ledger, shares
from saliency_stats.attribution.matching import matched
from saliency_stats.attribution.nulls import shift_table
from saliency_stats.attribution.profile import (
    PROFILE_KEY,
    DistanceBins,
    combine,
    over_networks,
    profiles,
    signed_distance_um,
)
from saliency_stats.attribution.relevance import relevance

__all__ = [
    "PROFILE_KEY",
    "CrossedShares",
    "DistanceBins",
    "Maps",
    "Memberships",
    "Shares",
    "checked_memberships",
    "checked_saliency",
    "combine",
    "crossed_shares",
    "ledger",
    "matched",
    "over_networks",
    "profiles",
    "relevance",
    "shares",
    "shift_table",
    "signed_distance_um",
]
