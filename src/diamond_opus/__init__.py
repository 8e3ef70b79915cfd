"""Diamond Opus: complete ingestion, exact pricing and fast search of a supplier's diamond inventory."""
