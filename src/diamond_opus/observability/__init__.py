"""Observability: what the system says about itself, without secrets and within bounds."""
