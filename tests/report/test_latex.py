"""Any text is printed by LaTeX as it is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saliency_stats.report.latex import environment, escape

SPECIAL = "&%$#_{}~^\\[]*`"


@given(st.text())
def test_escaped_text_holds_no_command_of_its_own(text: str) -> None:
    escaped = escape(text)
    # what is left once the escapes are taken out has no letter that LaTeX acts on
    plain = re.sub(
        r"\{[\[\]*]\}|\\[a-z]+\{\}|\\[&%$#_{}]|\$\\[A-Za-z]+\$|\$-\$|\$\^2\$|``|(?<=-)\{\}(?=-)", "", escaped
    )
    assert not set(plain) & set(SPECIAL)
    assert escaped.isprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20 patches of slide a-1", "20 patches of slide a-1"),
        ("a_b & 5 %\nµm", "a\\_b \\& 5 \\% \\textmu{}m"),
        ("0.41–0.57 p < 0.05", "0.41--0.57 p \\textless{} 0.05"),
        ("20×, −1 ± 2 mm²", "20$\\times$, $-$1 $\\pm$ 2 mm$^2$"),
        ("≥ ≤ ≠ ≈", "$\\geq$ $\\leq$ $\\neq$ $\\approx$"),
        ("δ, ε, ω, Δ, Ω", "$\\delta$, $\\varepsilon$, $\\omega$, $\\Delta$, $\\Omega$"),
        ("[a] *", "{[}a{]} {*}"),
        ("run --seed a---b", "run -{}-seed a-{}-{}-b"),
        ("a\x01b\u200bc", "a{[}U+0001{]}b{[}U+200B{]}c"),
        ("Cafe\u0301 中", "Café 中"),
    ],
)
def test_a_text_is_printed_as_it_is(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_templates_escape_where_they_are_told_to() -> None:
    assert environment().from_string("{#1} {{ name|tex }}").render(name="a_b") == "{#1} a\\_b"
