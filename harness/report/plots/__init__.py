"""PNG and SVG files, drawn with matplotlib: one module a subject."""
