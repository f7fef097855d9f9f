"""The application: every page, under one roof."""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, Response, request
from werkzeug.local import LocalProxy

from roost_plugins.console import api
from roost_plugins.console.here import Here, put_here
from roost_plugins.console.kit.installing import install
from roost_plugins.console.live import stream
from roost_plugins.console.pages import BLUEPRINTS
from roost_plugins.console.serving import problems
from roost_plugins.console.serving.assets import Assets

#: The largest body of a request. Bytes.
MAX_BODY: Final = 4 << 20


def create_app(here: Here) -> Flask:
    """Make the application of one console. It is safe behind its gate only."""
    app = Flask(__name__.partition(".serving")[0], root_path=str(Assets.folder().parent))
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY, PROPAGATE_EXCEPTIONS=False, PROVIDE_AUTOMATIC_OPTIONS=False
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.url_map.merge_slashes = False  # it would redirect
    put_here(app.extensions, here)
    api.put_keys(app.extensions)
    assets = Assets(app)

    @app.context_processor
    def usual() -> dict[str, Any]:
        # The clock is read where a template shows it: those who are not signed in cause no round
        # trip.
        return {
            "here": here,
            "asset": assets.url,
            "now": LocalProxy(here.now),
            "told_now": lambda: here.notes.get(request.args.get("said")),
        }

    install(app, here.now, assets.url)
    app.after_request(assets.cache)

    @app.after_request
    def note(answer: Response) -> Response:
        # By nothing else is anything changed: what is known of the queue from before is too old.
        if request.method == "POST":
            here.acts.note()
        return answer

    problems.install(app)
    for blueprint in (*BLUEPRINTS, stream.blueprint, api.blueprint):
        app.register_blueprint(blueprint)
    return app
