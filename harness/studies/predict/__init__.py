"""What theory and the twin say of a pipeline, and how far they can be believed."""
