"""Who may ask: API keys, signed requests, and the permissions both carry."""
