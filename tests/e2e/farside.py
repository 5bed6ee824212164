"""farside - a far system for the http connector's tests: an HTTP server on
loopback that answers as a test tells it, and remembers what it was asked.

    far = Far(); far.say(200, {...})            # for everything
    far.queue.append(lambda q: Answer(500))     # for the next request only

A behaviour is called with the request {method, path, query, headers, body} and
gives an Answer, or does something evil to the socket and gives None.
"""
import http.server
import json
import socket
import ssl
import threading
import time
import urllib.parse


class Answer:
    def __init__(self, status=200, body=None, headers=None, type='application/json'):
        self.status, self.headers = status, dict(headers or {})
        self.body = body if isinstance(body, bytes) else b'' if body is None else json.dumps(body).encode()
        if self.body:
            self.headers.setdefault('Content-Type', type)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def handle_any(self):
        far = self.server.far
        at = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        q = {'method': self.command, 'path': at.path, 'url': self.path, 'query': dict(urllib.parse.parse_qsl(at.query)),
             'headers': {k.lower(): v for k, v in self.headers.items()}, 'body': body, 'at': time.monotonic(),
             'port': self.client_address[1], 'handler': self}
        with far.lock:
            far.asked.append(q)
            do = far.queue.pop(0) if far.queue else far.always
        a = do(q)
        if a is None:
            self.close_connection = True
            return
        self.send_response(a.status)
        for k, v in a.headers.items():
            self.send_header(k, v)
        self.send_header('Content-Length', str(len(a.body)))
        self.end_headers()
        self.wfile.write(a.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def log_message(self, *words):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, address):
        pass


class Far:
    def __init__(self, tls=None, host='127.0.0.1'):
        self.lock = threading.Lock()
        self.asked, self.queue = [], []
        self.always = lambda q: Answer(200, {'id': 1})
        self.stopping = threading.Event()
        self.server = Server((host, 0), Handler)
        self.server.far = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f'{"https" if tls else "http"}://{host}:{self.port}'
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True)
        self.thread.start()

    def say(self, status=200, body=None, **more):
        self.always = lambda q: Answer(status, body, **more)

    def then(self, *answers):
        self.queue.extend((lambda q, a=a: a) if isinstance(a, Answer) else a for a in answers)

    def of(self, method=None, path=None):
        with self.lock:
            return [q for q in self.asked if method in (None, q['method']) and path in (None, q['path'])]

    def stop(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    # ---- evil ----

    def hang(self, q):
        """Nothing, for as long as the test lasts."""
        self.stopping.wait(60)

    def cut(self, q):
        """Close in the middle of the body."""
        h = q['handler']
        h.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"id": 7')
        h.wfile.flush()
        h.connection.shutdown(socket.SHUT_RDWR)

    def drip(self, q):
        """A byte now and then, for ever."""
        h = q['handler']
        h.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"id": "')
        try:
            while not self.stopping.wait(0.2):
                h.wfile.write(b'x')
                h.wfile.flush()
        except OSError:
            pass

    def huge(self, q):
        """More than anybody reads."""
        h = q['handler']
        try:
            h.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{"id": "')
            for _ in range(1000):
                h.wfile.write(b'x' * 100000)
        except OSError:
            pass
