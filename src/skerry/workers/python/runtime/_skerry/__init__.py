"""What runs inside a Python worker's process. Standard library only: the rest is the project's.

Nothing of Skerry is imported here; the node hands over one configuration, a listening socket, a
control socket and a pipe for logs (see `main`).
"""
