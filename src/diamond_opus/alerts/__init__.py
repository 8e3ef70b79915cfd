"""Alerts: what a person has to know now, through whatever channel is configured."""
