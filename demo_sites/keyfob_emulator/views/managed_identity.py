"""The managed identity agents over HTTP, and the metadata service's word on the machine."""

from __future__ import annotations

from flask import Blueprint, Response, g, jsonify, request

from keyfob_emulator import web
from keyfob_emulator.managed_identity import COMPUTE_PATH, PATHS, Source
from keyfob_emulator.managed_identity_agents import (
    AgentRequest,
    Agents,
    Refused,
    compute,
    told,
)

blueprint = Blueprint("managed_identity", __name__)


def _view(source: Source) -> Response:
    failure = web.take_failure("managed_identity")
    if failure:
        return failure
    given = request.form if request.method == "POST" else request.args
    headers = {name.lower(): value for name, value in request.headers.items()}
    agents = Agents(web.emulator(), web.authority(), web.graph_urls())
    try:
        return jsonify(agents.answer(source, AgentRequest(given.to_dict(), headers)))
    except Refused as refused:
        response = jsonify(told(source, refused, g.correlation_id))
        response.status_code = refused.status
        if refused.challenge:
            response.headers["WWW-Authenticate"] = refused.challenge
        return response


for _source, _path in PATHS.items():
    blueprint.add_url_rule(
        _path,
        endpoint=_source.value,
        view_func=_view,
        defaults={"source": _source},
        methods=["POST" if _source is Source.CLOUD_SHELL else "GET"],
    )


@blueprint.get(COMPUTE_PATH)
@blueprint.get(f"{COMPUTE_PATH}/<name>")
def compute_metadata(name: str | None = None) -> Response:
    """Where and what the machine is; one member of it as text with ``format=text``."""
    failure = web.take_failure("compute")
    if failure:
        return failure
    if request.headers.get("Metadata", "").lower() != "true":
        return _bad("Bad request. Required metadata header not specified")
    if not request.args.get("api-version"):
        return _bad("Bad request. api-version was not specified in the request")
    facts = compute(web.emulator().machine)
    if name is None:
        return jsonify(facts)
    if name not in facts:
        return Response("Not found", 404, content_type="text/plain; charset=utf-8")
    if request.args.get("format") == "text":
        return Response(facts[name], content_type="text/plain; charset=utf-8")
    return jsonify(facts[name])


def _bad(text: str) -> Response:
    response = jsonify({"error": text})
    response.status_code = 400
    return response
