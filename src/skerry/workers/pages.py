"""What callers get where no worker could answer: Cloudflare's numbers, statuses and words."""

from __future__ import annotations

import html

EXCEEDED = (1102, 503, "Worker exceeded resource limits")
THREW = (1101, 500, "Worker threw exception")


def page(error: tuple[int, int, str], detail: str = "") -> str:
    """The page of an error, for browsers."""
    number, _, title = error
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<body style="font-family:system-ui;max-width:46rem;margin:3rem auto;padding:0 1rem">'
        f"<h1>Error {number}</h1><h2>{title}</h2><pre>{html.escape(detail)}</pre>"
    )


def raw_response(error: tuple[int, int, str], detail: str = "") -> bytes:
    """A whole HTTP/1.1 response, for a connection whose request nobody has read."""
    number, status, title = error
    body = f"error code: {number}\n{title}{f': {detail}' if detail else ''}\n".encode()
    reason = "Service Unavailable" if status == 503 else "Internal Server Error"
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
