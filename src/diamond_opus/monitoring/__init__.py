"""What is wrong now, and what the system's figures are: read from the database, by any process that stays."""
