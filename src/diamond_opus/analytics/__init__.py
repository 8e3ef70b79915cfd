"""Analytics: what operators read of the pipeline; every number is computed here, once, for API, events and commands."""
