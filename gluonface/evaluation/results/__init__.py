"""What an evaluation returns: one type of result, its text tables, its JSON and its plots."""
