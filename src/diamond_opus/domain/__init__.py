"""Stones, money, grades and identities: values and rules without I/O, clock or settings."""
