"""Tries to make the pipeline lose something: seeded schedules of faults against the real parts, and an oracle."""
