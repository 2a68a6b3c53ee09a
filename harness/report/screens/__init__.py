"""What each verb prints on the terminal: one module a subject."""
