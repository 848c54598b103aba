"""What published workers import of Pyodide; here Python's own values do its work."""

__version__ = "0.28.2"
