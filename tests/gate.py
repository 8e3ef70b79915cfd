"""A way to the API that can be shut, as when its server is stopped, and opened again at the same address."""

import contextlib
import socket
import threading


class Gate:
    """Passes connections on to ``host:port`` while it is open; shutting it breaks those that stand."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener: socket.socket | None = None
        self._sockets: set[socket.socket] = set()
        self._shutting = threading.Lock()
        self.port = 0
        self.open()

    def open(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=50)
        self._listener = listener
        self.port = listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()

    def shut(self) -> None:
        with self._shutting:
            sockets = [*self._sockets, *([self._listener] if self._listener else [])]
            self._listener = None
            self._sockets.clear()
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while self._listener is listener:
                near, _ = listener.accept()
                far = socket.create_connection(self._target)
                with self._shutting:
                    if self._listener is not listener:  # shut meanwhile
                        near.close()
                        far.close()
                        return
                    self._sockets |= {near, far}
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=[source, sink], daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
