"""A stone as the catalogue knows it: what a feed's mapper yields and the pricing engine prices."""

import msgspec


class Stone(msgspec.Struct, frozen=True, gc=False):
    """One diamond in our words; the fields stand in the order of ``diamonds``' supplier columns.

    Carats, millimetres and percentages are hundredths, the ratio (length / width) is thousandths, money is
    whole US cents. ``measurements`` and ``attributes`` are finished JSON. Grades have one spelling (domain/grades.py).
    """

    supplier_stone_id: str
    offer_id: str
    shape: str
    carats_hundredths: int
    color: str | None
    clarity: str | None
    cut: str | None
    polish: str | None
    symmetry: str | None
    fluorescence: str | None
    lab_grown: bool
    treated: bool
    feed_price_cents: int
    feed_availability: str
    raw_availability: str | None
    hold_id: str | None
    image_url: str | None
    video_url: str | None
    certificate_lab: str | None
    certificate_number: str | None
    certificate_pdf_url: str | None
    measurements: bytes | None
    attributes: bytes | None
    supplier_name: str | None
    supplier_legal_name: str | None
    color_rank: int | None
    clarity_rank: int | None
    fancy_color: str | None
    fancy_intensity: str | None
    fancy_overtone: str | None
    length_mm: int | None
    width_mm: int | None
    depth_mm: int | None
    table_percent: int | None
    depth_percent: int | None
    ratio: int | None
    eye_clean: bool | None
    delivery_days_min: int | None
    delivery_days_max: int | None
    returnable: bool | None
