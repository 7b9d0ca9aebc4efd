"""A MessagePack-RPC server with the interface of the package `mprpc`, which Debian does not carry.

UHD's MPM derives its server from `RPCServer`, hands it connections, and asks it who is calling.
"""

import msgpack
from gevent.local import local

REQUEST, RESPONSE = 0, 1


class RPCServer:
    """Calls the public methods of a subclass by name."""

    def __init__(self, **_options):
        self._caller = local()

    @property
    def client_host(self):
        """Address of the client whose request is being handled."""
        return getattr(self._caller, "host", None)

    def __call__(self, connection, address):
        """Serve one connection until the client closes it."""
        self._caller.host = address[0]
        unpacker = msgpack.Unpacker(raw=False)
        with connection:
            while chunk := connection.recv(1 << 16):
                unpacker.feed(chunk)
                for kind, number, name, arguments in unpacker:
                    if kind == REQUEST:
                        error, result = self._answer(name, arguments)
                        reply = (RESPONSE, number, error, result)
                        connection.sendall(msgpack.packb(reply, use_bin_type=True))

    def _answer(self, name, arguments):
        method = None if name.startswith("_") else getattr(self, name, None)
        if method is None:
            return f"no such method: {name}", None
        try:
            return None, method(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client has to be told
            return str(error), None
