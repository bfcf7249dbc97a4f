"""A server of published weights, as fixtures."""

import hashlib
import http.server
import os
import threading
from dataclasses import replace

import pytest
import torch

from hardnet_mm.checkpoints.published import WEIGHTS
from helpers.stand_in import fill_state_dict


class RunsCode:
    """A pickle of it makes whoever reads it without care create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.fixture(scope='module')
def original(golden):
    return fill_state_dict(golden('hardnet39ds_cls')['state_dict'])


class Server(http.server.ThreadingHTTPServer):
    """The weights' host: serves ``files``, a dict of names and bytes, and counts the requests."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.files, self.requests, self.cut = {}, [], 0
        self.address = f'http://127.0.0.1:{self.server_port}/'


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802, its name
        name = self.path.removeprefix('/')
        self.server.requests.append(name)
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) - self.server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache."""
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    for variable in ('HARDNET_WEIGHTS', 'HARDNET_WEIGHTS_MIRROR'):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / 'hub/checkpoints'


@pytest.fixture
def publish(server, monkeypatch, tmp_path):
    """Return a function that serves a checkpoint as the weights of hardnet39ds."""

    def publish(checkpoint, named_hash=None):
        path = tmp_path / 'served.pth'
        if isinstance(checkpoint, bytes):
            path.write_bytes(checkpoint)
        else:
            torch.save(checkpoint, path)
        content = path.read_bytes()
        named_hash = named_hash or hashlib.sha256(content).hexdigest()[:8]
        file = f'hardnet39ds-{named_hash}.pth'
        server.files[file] = content
        record = replace(WEIGHTS['hardnet39ds'], addresses=(server.address + file,))
        monkeypatch.setitem(WEIGHTS, 'hardnet39ds', record)
        return file

    return publish


def same(checkpoint, wanted):
    state = checkpoint['state_dict']
    return state.keys() == wanted.keys() and all(torch.equal(state[k], wanted[k]) for k in wanted)
