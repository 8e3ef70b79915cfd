"""Partitioning: pure functions that cut an inventory into balanced price ranges by real counts."""
