"""Speed measurements: each compares with a baseline in the same process."""
