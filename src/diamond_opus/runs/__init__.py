"""Runs and their partitions: records, legal states, leases, and every SQL statement that touches them."""
