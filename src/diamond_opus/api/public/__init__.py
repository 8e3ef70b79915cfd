"""Routes for shops."""
