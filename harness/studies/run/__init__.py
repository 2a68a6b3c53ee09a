"""One measured run: executed, summarised, saved, and looked at again."""
