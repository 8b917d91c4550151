"""The REST API under `/api/v1/`: all that the pages show, the start of a sync, and the door for bots."""
