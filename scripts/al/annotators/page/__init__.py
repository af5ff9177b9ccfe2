"""The annotation page: a server on this machine that people open in their browser."""
