"""Drawn faces: a face set without people, to try everything on before real data is at hand."""
