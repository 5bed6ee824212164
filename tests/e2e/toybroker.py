"""toybroker - `vayla broker` alone, in a folder of its own, over toypacks."""
import json
import os
import signal
import subprocess

import msgpack
import toypacks
from harness import PROGRAM, ROOT, free_port, until
from vyclient import Client, Silence, decimal, event


class Broker:
    def __init__(self, folder, mode='live', retry=None):
        self.folder, self.process, self.clients = folder, None, []
        self.bus = f'ipc://{folder}/bus.sock'
        self.config = {
            'broker': {'data': str(folder / 'data'), 'bus': self.bus,
                       'console': f'http://127.0.0.1:{free_port()}',
                       'packs': toypacks.write(folder / 'packs'),
                       'retry': retry or {'first_ms': 20, 'most_ms': 100, 'attempts': 3}},
            'systems': {'shop': {'use': 'toyshop'},
                        'books': {'use': 'toybooks', 'of': 'shop', 'mode': mode,
                                  'folder': str(folder / 'books')}}}
        self.file = folder / 'vayla.yaml'
        self.log = folder / 'broker.log'

    def start(self, env=None, wait=True):
        self.file.write_text(json.dumps(self.config, indent=1))
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), 'broker', str(self.file)], cwd=ROOT, stdout=log, stderr=log,
                env={**os.environ, **(env or {})})
        if wait:
            self.client('probe', 'operator').bye()
        return self

    def client(self, name, role, hello=True):
        access = self.config['broker'].get('access', self.folder / 'data' / 'access')
        c = Client(self.bus, name, role, access=access, alive=lambda: self.process.poll() is None)
        self.clients.append(c)

        def up():
            if self.process.poll() is not None:
                raise AssertionError('the broker ended:\n' + self.text())
            try:
                return c.welcome(seconds=0.05)
            except Silence:
                return None
        if hello:
            c.greet()               # it waits in the socket until there is a broker
            until(up, 20, 0)
        return c

    def text(self):
        return self.log.read_text(errors='replace')[-6000:]

    def hit(self, process=None):
        """kill -9, of what traces it too; a process that is its session's first stands for all of it."""
        process = process or self.process
        if process.poll() is None:
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()

    def kill(self):
        self.hit()
        self.process.wait()

    def stop(self):
        """A clean end; its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError('the broker did not end:\n' + self.text())
        return self.process.returncode

    def close(self):
        for c in self.clients:
            c.close()
        self.clients = []
        if self.process is not None and self.process.poll() is None:
            self.kill()


def order(number, total='10.00', changed=1, **more):
    return event(id=f'order:{number}:{changed}', source='shop', type='toyshop.order',
                 subject=f'order:{number}', time=msgpack.Timestamp(1767225600 + changed),
                 data={'number': str(number), 'total': decimal(total), 'changed': changed, **more})


def payment(pid, number, amount='10.00', method='card'):
    return event(id=f'payment:{pid}', source='shop', type='toyshop.payment',
                 subject=f'order:{number}', time=msgpack.Timestamp(1767225600),
                 data={'id': str(pid), 'order': str(number), 'method': method,
                       'amount': decimal(amount)})
