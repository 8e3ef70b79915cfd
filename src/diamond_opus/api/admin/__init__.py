"""Routes for the people who run the system; each needs the permission admin."""
