"""Holds and orders: asked for once, written down before and after, and never sent twice."""
