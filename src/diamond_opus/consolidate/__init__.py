"""Consolidate: raw answers become priced diamonds, batch by batch, and a finished run moves the watermark."""
