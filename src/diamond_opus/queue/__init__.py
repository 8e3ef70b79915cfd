"""Queues carry wake-ups: losing, doubling, delaying or re-ordering a message changes no result."""
