"""The routes of the API: one list, of which the application and its document are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs
from flask import Blueprint

from roost_core.models import Verb
from roost_plugins.console.api.answering import Answering

PREFIX: Final = "/api/v1"
blueprint: Final = Blueprint("api", __name__, url_prefix=PREFIX)

_VERBS: Final = "|".join(Verb)


@attrs.frozen(eq=False)
class Route:
    """One route.

    :ivar path: as OpenAPI writes it.
    :ivar name: unique; for programs that are made from the document.
    :ivar query: the class of what its URL may ask for, or None.
    :ivar body: the class of what its body may say, or None.
    :ivar answer: the class of what it answers, or None.
    :ivar media: what it answers instead of JSON.
    :ivar status: of the answer.
    :ivar needs_body: whether there must be one.
    :ivar may_be_fresh: whether it answers 304 where the asker has it.
    """

    method: str
    path: str
    name: str
    summary: str
    query: type[Any] | None
    body: type[Any] | None
    answer: type[Any] | None
    media: str
    status: int
    needs_body: bool
    may_be_fresh: bool

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return self.method == "POST"


ROUTES: Final[list[Route]] = []


def route(
    method: str,
    path: str,
    summary: str,
    answer: type[Any] | None = None,
    *,
    query: type[Any] | None = None,
    body: type[Any] | None = None,
    media: str = "application/json",
    status: int = 200,
    needs_body: bool = False,
    may_be_fresh: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what makes a function the view of a new route.

    It is called with the parts of the path, and with ``asked`` and ``said`` where it has a query
    and a body. It returns an answer: an object of its class, or a response.
    """

    def register(view: Callable[..., Any]) -> Callable[..., Any]:
        one = Route(
            method, path, view.__name__, summary, query, body, answer, media, status,
            needs_body, may_be_fresh,
        )  # fmt: skip
        ROUTES.append(one)
        rule = path.replace("{verb}", f"<any({', '.join(Verb)}):verb>")
        blueprint.add_url_rule(
            rule.replace("{", "<").replace("}", ">"),
            view.__name__,
            Answering(view, query, body, status, method == "POST", needs_body),
            methods=[method],
        )
        return view

    return register


def parts(path: str) -> Sequence[str]:
    """Return the names of the parts of a path that vary."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
