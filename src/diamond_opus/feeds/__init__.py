"""Feeds: where stones come from. The protocol is here; each supplier has a folder of its own."""
