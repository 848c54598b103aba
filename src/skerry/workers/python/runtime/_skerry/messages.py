"""Request and Response, as the published `workers` module names their parts."""

from __future__ import annotations

from http import HTTPMethod, HTTPStatus
from typing import Any

from _skerry.body import Body
from _skerry.headers import Headers, JsHeaders
from _skerry.values import Result, dumps, options

NULL_BODY = (101, 204, 205, 304)
REDIRECTS = (301, 302, 303, 307, 308)


class Request(Body):
    """Request(url or request, method=, headers=, body=, cf=, redirect=, signal=)."""

    def __init__(self, input: Any, options: Any = None, **kwargs: Any) -> None:
        given = {**(options or {}), **kwargs}
        base = input if isinstance(input, Request) else None
        headers = JsHeaders(given.get("headers", base.headers if base else None))
        body = given["body"] if given.get("body") is not None else base._fork() if base else None
        method = given.get("method") or (base.method if base else "GET")
        self._method = str(method.value if isinstance(method, HTTPMethod) else method).upper()
        if body is not None and self._method in ("GET", "HEAD"):
            raise TypeError("Request with a GET or HEAD method cannot have a body.")
        self.url: str = base.url if base else str(getattr(input, "href", input))
        self.cf: Result = Result(given.get("cf") or (base.cf if base else {}))
        self.redirect: str = given.get("redirect") or (base.redirect if base else "follow")
        self.signal = given.get("signal")
        super().__init__(body, headers)

    @classmethod
    def new(cls, input: Any, options: Any = None, **kwargs: Any) -> Request:
        return cls(input, options, **kwargs)

    @property
    def method(self) -> str:
        """The method; an HTTPMethod where it is one that HTTP names."""
        try:
            return HTTPMethod(self._method)
        except ValueError:
            return self._method

    @property
    def js_object(self) -> JsRequest:
        """The same request; its headers are iterated as JavaScript does it."""
        return self if isinstance(self, JsRequest) else JsRequest.over(self)

    @property
    def headers(self) -> Headers:
        return Headers(self._headers)

    def clone(self) -> Request:
        return Request(self)

    def __repr__(self) -> str:
        return f"Request(method={self._method!r}, url={self.url!r})"


class JsRequest(Request):
    """A request as `request.js_object` shows it; body and headers are those of the request."""

    @classmethod
    def over(cls, request: Request) -> JsRequest:
        view = cls.__new__(cls)
        view.__dict__ = request.__dict__
        return view

    @property
    def method(self) -> str:
        return self._method

    @property
    def headers(self) -> Headers:
        return self._headers


class Response(Body):
    """Response(body, status=200, status_text="", headers=None, web_socket=None).

    `Response.json(data, …)` makes one of JSON; `await response.json()` reads one.
    """

    def __init__(
        self, body: Any = None, status: Any = None, status_text: str = "", headers: Any = None,
        web_socket: Any = None, **more: Any,
    ) -> None:  # fmt: skip
        if isinstance(status, dict):  # the options object of JavaScript's constructor
            more = {**status, **more}
            status = None
        if "init" in more:
            more = {**(more.pop("init") or {}), **more}
        status = more.get("status") if status is None else status
        self.status = int(status) if status is not None else 200
        self.status_text = status_text or str(more.get("statusText", ""))
        self.web_socket = web_socket or more.get("webSocket")
        self.url = ""
        self.redirected = False
        self.type = "default"
        if isinstance(body, Response):
            if status is not None or headers is not None:
                raise ValueError("a Response made of a Response takes no options")
            self.__dict__ = body.__dict__
            return
        if not 200 <= self.status <= 599 and not (self.status == 101 and self.web_socket):
            raise ValueError(
                f"Responses may only be constructed with status codes in the range 200 to 599,"
                f" inclusive (not {self.status}); 101 goes with a web_socket."
            )
        if body is not None and self.status in NULL_BODY:
            raise TypeError(f"Response with null body status ({self.status}) cannot have body.")
        given = headers if headers is not None else more.get("headers")
        super().__init__(body, Headers(given))

    @classmethod
    def new(cls, body: Any = None, init: Any = None, **kwargs: Any) -> Response:
        """As `new Response(body, init)`; init may be another response."""
        if isinstance(init, Response):
            init = {
                "status": init.status, "statusText": init.status_text, "headers": init.headers,
            }  # fmt: skip
        given = options(init, kwargs)
        return cls(
            body, given.get("status"), given.get("statusText", ""), given.get("headers"),
            given.get("webSocket"),
        )  # fmt: skip

    @property
    def ok(self) -> bool:
        return 200 <= self.status <= 299

    @property
    def statusText(self) -> str:
        return self.status_text

    @property
    def webSocket(self) -> Any:
        return self.web_socket

    @property
    def js_object(self) -> Response:
        return self

    js_response = js_object

    @staticmethod
    def from_json(
        data: Any, status: Any = None, status_text: str = "", headers: Any = None, **more: Any
    ) -> Response:
        """A response of `data` as JSON."""
        made = Response(dumps(data), status, status_text, headers, **more)
        kinds = Headers(headers if headers is not None else made._init_headers(status, more))
        if "content-type" not in kinds:
            made.headers.set("content-type", "application/json")
        return made

    @staticmethod
    def _init_headers(status: Any, more: dict[str, Any]) -> Any:
        return (status if isinstance(status, dict) else more).get("headers")

    def json(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Read a response, or (called on the class) make one of its first argument."""
        if isinstance(self, Response):
            return Body.json(self)
        return Response.from_json(self, *args, **kwargs)

    @staticmethod
    def redirect(url: Any, status: Any = HTTPStatus.FOUND) -> Response:
        if int(status) not in REDIRECTS:
            raise ValueError(f"{int(status)} is not a redirect status code.")
        return Response(None, status, headers={"location": str(getattr(url, "href", url))})

    @staticmethod
    def error() -> Response:
        raise TypeError("Response.error() is not supported in a worker")

    def clone(self) -> Response:
        made = Response(self._fork(), self.status, self.status_text, self._headers)
        made.url, made.web_socket = self.url, self.web_socket
        return made

    def replace_body(self, body: Any) -> Response:
        """The same status and headers with another body."""
        return Response(body, self.status, self.status_text, self._headers)

    def raise_for_status(self) -> None:
        if self.status >= 400:
            raise OSError(f"{self.status} {self.status_text or 'error'} for url: {self.url}")

    def __repr__(self) -> str:
        kind = self._headers.get("content-type")
        return f"Response(status={self.status}" + (f", content_type={kind!r})" if kind else ")")
