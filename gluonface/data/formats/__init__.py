"""Files of other programs, read in place and within bounds."""
