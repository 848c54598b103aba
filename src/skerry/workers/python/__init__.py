"""Python workers: native CPython processes with the published `workers` module."""
