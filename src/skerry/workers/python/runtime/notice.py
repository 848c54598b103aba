"""Answers in place of a worker that cannot be loaded: with the reason."""

from __future__ import annotations

from html import escape

from workers import Request, Response, WorkerEntrypoint

PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Build failed</title>'
    '<meta http-equiv="refresh" content="2">'
    '<body style="font-family:system-ui;max-width:60rem;margin:3rem auto;padding:0 1rem">'
    "<h1>The worker cannot be built</h1><pre>{}</pre>"
)


class Default(WorkerEntrypoint):
    """The words are the variable SAID."""

    async def fetch(self, request: Request) -> Response:
        """HTML for browsers, text for others."""
        said = str(self.env.SAID)
        if "text/html" in (request.headers["accept"] or ""):
            headers = {"content-type": "text/html; charset=utf-8"}
            return Response(PAGE.format(escape(said)), status=500, headers=headers)
        return Response(f"The worker cannot be built\n{said}\n", status=500)
