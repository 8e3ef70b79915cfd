"""Housekeeping: what nobody needs any more goes, in small steps, and each time is written down."""
