"""A kind of cohort is a section that opens itself."""

import pytest

from saliency_stats.cohort import PatchFolder, PhantomCohort
from saliency_stats.settings.cohort import COHORT_KINDS, CohortBase, PatchesSection, PhantomSection, SlidesSection


def test_kinds_are_called_by_their_names():
    for name, section in COHORT_KINDS.items():
        assert section.model_fields["kind"].annotation.__args__ == (name,)


def test_a_phantom_section_draws_phantoms_that_depend_on_the_seed():
    section = PhantomSection(slides=3, patches_per_slide=2, size_px=32)
    first, again, other = (section.open(seed) for seed in (0, 0, 1))
    assert isinstance(first, PhantomCohort)
    assert len(first.table) == 6
    assert (first.read(0).image == again.read(0).image).all()
    assert (first.read(0).image != other.read(0).image).any()


def test_a_patches_section_reads_its_list(tmp_path):
    path = tmp_path / "patches.csv"
    path.write_text("path,label,mpp\na.png,benign,\nb.png,malignant,0.25\n")
    cohort = PatchesSection(kind="patches", table=path, mpp=0.5).open(0)
    assert isinstance(cohort, PatchFolder)
    assert cohort.table["mpp"].tolist() == [0.5, 0.25]


def test_a_slides_section_says_where_patches_are_taken():
    tiling = SlidesSection(
        kind="slides", table="x.csv", magnifications=[10, 20], size_px=64, min_place_tissue=0.3
    ).tiling
    assert (tiling.size_px, tiling.magnifications, tiling.min_tissue) == (64, (10.0, 20.0), 0.3)


def test_what_is_no_kind_opens_nothing():
    with pytest.raises(NotImplementedError):
        CohortBase().open(0)
