"""The forms in which people hold faces, one file per form."""
