"""Where feedback comes in: readers, redaction and lots."""
