"""What follows from the facts. Pure: no database, no clock, no network."""
