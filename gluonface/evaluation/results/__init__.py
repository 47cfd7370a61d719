"""What an evaluation returns: named figures with their table and JSON."""
