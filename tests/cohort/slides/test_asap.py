"""Outlines of ASAP: what groups mean, which shapes count, and what is unsafe or no XML of ASAP."""

import numpy as np
import pytest

from saliency_stats.errors import StudyError

SQUARE = [(0, 0), (100, 0), (100, 100), (0, 100)]
INNER = [(20, 20), (60, 20), (60, 60), (20, 60)]


def shifted(points, dx, dy=0):
    return [(x + dx, y + dy) for x, y in points]


def group(name, parent="None"):
    return f'<Group Name="{name}" PartOfGroup="{parent}" Color="#00ff00"><Attributes /></Group>'


# --- the groups of ASAP -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tumour", "excluded"), [("_0", "_2"), ("_1", "_2"), ("Tumor", "Exclusion"), ("metastases", "normal")]
)
def test_excluded_groups_are_cut_out_wherever_they_lie(tmp_path, tumour, excluded, read, asap):
    back = read(
        asap(
            tmp_path,
            (excluded, INNER),
            (tumour, SQUARE),
            (excluded, shifted(SQUARE, 90)),
            (tumour, shifted(INNER, 500)),
        )
    )
    assert back.tumour.area == 100**2 - 40**2 - 10 * 100 + 40**2
    assert back.notes == ()


def test_overlapping_outlines_count_once(tmp_path, read, asap):
    assert read(asap(tmp_path, ("_0", SQUARE), ("_1", shifted(SQUARE, 50)))).tumour.area == 150 * 100


def test_a_group_means_what_the_next_known_group_around_it_means(tmp_path, read, asap):
    groups = group("lesion", "_0") + group("_0", "All") + group("part", "lesion") + group("_2", "_0") + group("All")
    path = asap(tmp_path, ("part", SQUARE), ("_2", INNER), groups=groups)
    assert read(path).tumour.area == 100**2 - 40**2


def test_groups_that_go_round_in_a_circle_have_no_meaning(tmp_path, refused, asap):
    path = asap(tmp_path, ("a", SQUARE), groups=group("a", "b") + group("b", "a"))
    refused(path, "'a'", "cohort.annotation_groups")


@pytest.mark.parametrize("name", ["None", "Stroma"])
def test_a_group_without_meaning_is_refused_unless_the_study_gives_it_one(tmp_path, name, read, refused, asap):
    path = asap(tmp_path, ("_0", SQUARE), (name, INNER))
    refused(path, f"'{name}'", "'A1'", "_0, _1, Tumor", "_2, Exclusion", "cohort.annotation_groups")
    assert read(path, exclude=("_2", name.upper())).tumour.area == 100**2 - 40**2
    ignored = read(path, ignore=(name,))
    assert ignored.tumour.area == 100**2
    assert ignored.notes == (f"1 × group '{name}' is to be ignored, left out: 'A1'",)


def test_a_group_has_one_meaning(tmp_path, read, asap):
    with pytest.raises(StudyError, match="'normal' two meanings"):
        read(asap(tmp_path, ("_0", SQUARE)), tumour=("_0", "NORMAL"))


def test_coordinates_come_in_any_order(tmp_path, read, asap, text_file):
    text = asap(tmp_path, ("_0", SQUARE)).read_text(encoding="utf-8")
    first, second = '<Coordinate Order="0" X="0" Y="0" />', '<Coordinate Order="1" X="100" Y="0" />'
    path = text_file(tmp_path, text.replace(first + second, second + first))
    assert path.read_text(encoding="utf-8") != text
    assert read(path).tumour.area == 100**2
    # more than nine points: as text, 10 would come before 2
    circle = [(50 + 50 * np.cos(t), 50 + 50 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 60, endpoint=False)]
    text = asap(tmp_path, ("_0", circle)).read_text(encoding="utf-8")
    points = [f"<Coordinate {part}" for part in text.split("<Coordinate ")[1:]]
    points[-1] = points[-1].split("</")[0]
    shuffled = text.replace("".join(points), "".join(np.random.default_rng(0).permutation(points)))
    assert read(text_file(tmp_path, shuffled)).tumour.equals(read(text_file(tmp_path, text)).tumour)


def test_dots_are_left_out_splines_and_rectangles_are_outlines(tmp_path, read, asap):
    back = read(
        asap(
            tmp_path,
            ("None", [(5, 5)], "Dot"),
            ("None", [(5, 5), (6, 6)], "PointSet"),
            ("_0", SQUARE, "Spline"),
            ("_0", [(200, 0), (300, 50)], "Rectangle"),
            ("_0", shifted(SQUARE, 400), "Rectangle"),
        )
    )
    assert back.tumour.area == 100**2 + 100 * 50 + 100**2
    assert back.notes == (
        "1 × Dot encloses no area, left out: 'A0'",
        "1 × PointSet encloses no area, left out: 'A1'",
        "1 × spline, read as the polygon through its points: 'A2'",
    )


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('X="100"', 'X="100,5"', "100,5"),
        ('X="100"', 'X=""', "no number"),
        ('X="100"', 'Z="100"', "'X'"),
        ('X="100"', 'X="nan"', "a coordinate is nan; expected level-0 pixels, finite and at most 1e+09"),
        ('X="100"', 'X="1e999"', "a coordinate is inf"),
        ('Y="100"', 'Y="-1e308"', "a coordinate is -1e+308"),
        ('X="100"', 'X="1.0001e9"', "a coordinate is 1.0001e+09"),
        ('Order="1"', 'Order="0"', "same Order"),
        ('Order="1"', 'Order="one"', "one"),
    ],
)
def test_a_coordinate_that_is_no_number_is_refused(tmp_path, old, new, found, refused, asap, text_file):
    text = asap(tmp_path, ("_0", SQUARE)).read_text(encoding="utf-8")
    refused(text_file(tmp_path, text.replace(old, new, 1)), "'A0'", found)


# --- unsafe and foreign files -----------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "declared",
    [
        f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>',
        '<!DOCTYPE a [<!ENTITY l9 SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd">',
        "<!DOCTYPE ASAP_Annotations>",
    ],
    ids=["billion laughs", "external entity", "external DTD", "bare DTD"],
)
def test_document_types_and_entities_are_refused(tmp_path, declared, refused, asap, text_file):
    text = (
        asap(tmp_path, ("_0", SQUARE))
        .read_text(encoding="utf-8")
        .replace('<?xml version="1.0"?>', f'<?xml version="1.0"?>{declared}')
    )
    name = "&l9;" if "l9" in declared else "A0"
    refused(text_file(tmp_path, text.replace("A0", name)), "document type or entities", "ASAP")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "not well-formed"),
        ("<ASAP_Annotations>", "not well-formed"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "not well-formed"),
        ('<Annotations MicronsPerPixel="0.499"/>', "'Annotations'"),
    ],
)
def test_what_is_no_xml_of_asap_is_refused(tmp_path, text, found, refused, text_file):
    refused(text_file(tmp_path, text), found)


def test_deep_xml_is_no_trouble(tmp_path, read, text_file):
    depth = 50_000
    text = f"<ASAP_Annotations>{'<a>' * depth}{'</a>' * depth}</ASAP_Annotations>"
    assert read(text_file(tmp_path, text)).tumour.is_empty


def test_a_renamed_file_is_known_by_its_first_character(tmp_path, read, asap, text_file):
    data = asap(tmp_path, ("_0", SQUARE)).read_bytes()
    assert read(text_file(tmp_path, data, "b.txt")).tumour.area == 100**2


def test_all_groups_without_meaning_are_named_at_once(tmp_path, refused, asap):
    path = asap(tmp_path, ("Stroma", SQUARE), ("_0", SQUARE), ("fold", INNER), ("fold", INNER))
    refused(path, "2 group(s)", "'A0' of group 'Stroma'", "'A2' of group 'fold'")


def test_an_outline_has_its_own_points_alone(tmp_path, read, text_file):
    points = "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>' for n, (x, y) in enumerate(SQUARE))
    inner = f'<Annotation PartOfGroup="_0"><Coordinates>{points}</Coordinates></Annotation>'
    text = f'<ASAP_Annotations><Annotation PartOfGroup="_0">{inner}</Annotation></ASAP_Annotations>'
    back = read(text_file(tmp_path, text))
    assert back.tumour.area == 100**2
    assert back.notes == ("1 × ring of fewer than 3 different points, left out: 'number 1'",)


def test_a_long_chain_of_groups_is_followed(tmp_path, read, asap):
    groups = "".join(group(f"g{n}", f"g{n + 1}" if n < 5000 else "_0") for n in range(5001))
    assert read(asap(tmp_path, ("g0", SQUARE), groups=groups)).tumour.area == 100**2
