"""python -m flask_site: serve the Flask demo site on loopback, at FLASK_PORT (5000)."""

import os

from werkzeug.serving import make_server

from flask_site import create_app

server = make_server(
    "127.0.0.1", int(os.environ.get("FLASK_PORT", "5000")), create_app(), threaded=True
)
server.serve_forever()
