"""Shapes: one spelling for each, whatever the supplier or a rule writes."""

from collections.abc import Mapping

#: Names that mean a shape already named; everything else keeps its own name.
SYNONYMS: Mapping[str, str] = {
    "ASCHER": "ASSCHER",
    "CUSHION B": "CUSHION BRILLIANT",
    "EUROPEAN": "OLD EUROPEAN",
    "EUROPEAN CUT": "OLD EUROPEAN",
    "HALFMOON": "HALF MOON",
    "RECTANGULAR": "RECTANGLE",
    "ROUND BRILLIANT": "ROUND",
    "TRAPEZE": "TRAPEZOID",
    "TRIANGULAR": "TRIANGLE",
}


def normalise_shape(text: str) -> str:
    """Upper case, single blanks, one name for each shape; empty when there is none.

    >>> normalise_shape("  Cushion  b ")
    'CUSHION BRILLIANT'
    """
    name = " ".join(text.upper().replace("_", " ").split())
    return SYNONYMS.get(name, name)
