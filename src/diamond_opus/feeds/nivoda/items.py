"""The part of the supplier's item that becomes a stone; its names stop here and in the mapper.

The fields stand in the order of queries.graphql: an answer keeps that order, and the decoder then finds each
name where it expects it.
"""

from msgspec import Raw, Struct

Text = str | None


class Delivery(Struct, gc=False):
    min_business_days: int | None = None
    max_business_days: int | None = None
    express_timeline_applicable: bool | None = None


class Certificate(Struct, gc=False):
    """Measurements are texts, as the supplier sends them; carats stay raw, so that they are read exactly."""

    lab: Text = None
    certNumber: Text = None  # noqa: N815  # the supplier's name
    pdfUrl: Text = None  # noqa: N815
    shape: Text = None
    carats: Raw = Raw(b"null")
    color: Text = None
    clarity: Text = None
    cut: Text = None
    polish: Text = None
    symmetry: Text = None
    floInt: Text = None  # noqa: N815
    floCol: Text = None  # noqa: N815
    f_color: Text = None
    f_intensity: Text = None
    f_overtone: Text = None
    labgrown: bool | None = None
    labgrown_type: Text = None
    treated: bool | None = None
    length: Text = None
    width: Text = None
    depth: Text = None
    depthPercentage: Text = None  # noqa: N815
    table: Text = None
    crownAngle: Text = None  # noqa: N815
    crownHeight: Text = None  # noqa: N815
    pavAngle: Text = None  # noqa: N815
    pavHeight: Text = None  # noqa: N815
    pavDepth: Text = None  # noqa: N815
    girdle: Text = None
    culetSize: Text = None  # noqa: N815
    girdleCondition: Text = None  # noqa: N815
    culet_condition: Text = None
    cut_style: Text = None
    keyToSymbols: Text = None  # noqa: N815
    comments: Text = None


class Supplier(Struct, gc=False):
    name: Text = None
    legal_name: Text = None


class Diamond(Struct, gc=False):
    id: Text = None
    availability: Text = None
    HoldId: Text = None
    image: Text = None
    video: Text = None
    supplier_video_link: Text = None
    eyeClean: Text = None  # noqa: N815
    brown: Text = None
    green: Text = None
    blue: Text = None
    gray: Text = None
    milky: Text = None
    bowtie: Text = None
    mine_of_origin: Text = None
    location: Text = None
    return_window: int | None = None
    delivery_time: Delivery | None = None
    certificate: Certificate | None = None
    supplier: Supplier | None = None


class Item(Struct, gc=False):
    """``price`` is in US cents."""

    id: Text = None
    price: int | None = None
    diamond: Diamond | None = None
