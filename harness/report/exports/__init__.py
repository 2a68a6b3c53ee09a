"""What other programs read: traces, Prometheus' text, tables in Markdown."""
