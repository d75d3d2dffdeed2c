"""Pushpin, or whatever is started in its place, as a child process on free ports.

Both are started the way `fastly compute serve` starts Pushpin: one program, `--config=FILE --verbose`, the same file for either.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from peer import PATIENCE, Lines, Missing, binary, environment, stop

SIG_ISS, SIG_KEY = "pushpin", "changeme-changeme-changeme-changeme"

# Names of services and specs are those of Debian's 1.36; a stand-in reads what it knows and ignores the rest.
CONFIG = """\
[global]
include=/usr/lib/pushpin/internal.conf
rundir={dir}/run
ipc_prefix=p-

[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:{port}
logdir={dir}/log
log_level=2
client_buffer_size=8192
client_maxconn={connections}

[proxy]
routesfile={dir}/routes
debug=false
auto_cross_origin=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
x_forwarded_for=
accept_pushpin_route=true
sig_iss={iss}
sig_key={key}
updates_check=off
zurl_out_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-in
zurl_out_stream_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-in-stream
zurl_in_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-out

[handler]
push_in_spec=ipc://{{rundir}}/{{ipc_prefix}}push
push_in_sub_specs=ipc://{{rundir}}/{{ipc_prefix}}sub
command_spec=ipc://{{rundir}}/{{ipc_prefix}}command
push_in_http_addr=127.0.0.1
push_in_http_port={publish}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
message_rate={rate}
message_hwm=100000
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
stats_spec=ipc://{{rundir}}/{{ipc_prefix}}stats
"""


def free_ports(n):
    """n ports that nobody listens on now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def descendants(pid):
    """The process and all below it."""
    found = [pid]
    for parent in found:
        for children in pathlib.Path("/proc/%d/task" % parent).glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


# The built-in test origin, to see whether the processes have found each other: at first they refuse to hold.
WARM_UP = "\nwarm-up.example test\n"


class Pushpin:
    """A running Pushpin or stand-in. host:port of clients in address, of publishers in control."""

    def __init__(self, program, routes, connections=2000, rate=2500, verbose=True):
        # Short: the names of Pushpin's sockets are paths of at most 107 bytes.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pp"))
        port, publish = free_ports(2)
        self.address, self.control = ("127.0.0.1", port), ("127.0.0.1", publish)
        for name in ("run", "log"):
            (self.dir / name).mkdir()
        self._routes = ""
        self.add_routes(routes + WARM_UP)
        config = self.dir / "pushpin.conf"
        config.write_text(CONFIG.format(dir=self.dir, port=port, publish=publish, iss=SIG_ISS, key=SIG_KEY,
                                        connections=connections, rate=rate))
        flags = ["--config=%s" % config] + ["--verbose"] * verbose
        self.process = subprocess.Popen([program, *flags], stdout=subprocess.PIPE, env=environment(), start_new_session=True)
        try:
            self.lines = Lines(self.process.stdout)
            self.lines.until(lambda line: line.endswith(" started"), "%s did not say that it has started" % program)
            self._await(self.address)
            self._await(self.control)
            self._warm_up()
        except BaseException:  # whatever it was, five processes must not stay behind
            self.__exit__()
            raise

    def add_routes(self, text):
        """Replaces the routes file by a longer one in one step, as an editor would."""
        self._routes += text
        fresh = self.dir / "routes.new"
        fresh.write_text(self._routes)
        os.replace(fresh, self.dir / "routes")

    def _await(self, address):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(address, timeout=1).close()
                return
            except OSError as err:
                if time.monotonic() > end:
                    raise Missing("nothing listens on %s:%d: %s" % (*address, err)) from err
                time.sleep(0.05)  # there is no event to wait for, only the port

    def _warm_up(self):
        end, held = time.monotonic() + PATIENCE, 0
        while held < 5:
            answer = self._hold_once()
            held = held + 1 if answer.startswith(b"HTTP/1.1 200") else 0
            if time.monotonic() > end:
                raise Missing("it does not hold a stream: %r" % answer)
            time.sleep(0.05)  # as above

    def _hold_once(self):
        """The beginning of the answer to a stream; nothing if there is none: a request can get lost while processes start."""
        try:
            with socket.create_connection(self.address, timeout=1) as conn:
                conn.sendall(b"GET /stream HTTP/1.1\r\nHost: warm-up.example\r\n\r\n")
                return conn.recv(1000)
        except OSError:
            return b""

    def log(self):
        """What it wrote, for a failure's sake."""
        files = sorted((self.dir / "log").glob("*.log"))
        return "\n".join([*self.lines.seen, *(f.read_text(errors="replace") for f in files)])

    def pids(self):
        """Its processes: Pushpin is made of five."""
        return descendants(self.process.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        family = self.pids()
        stop(self.process)
        for pid in family:  # what the runner left behind
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.dir, ignore_errors=True)


def installed():
    """The path of the real Pushpin."""
    found = shutil.which("pushpin", path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
    if not found:
        raise Missing("pushpin is not installed")
    return found


def shim(directory):
    """The path of the relay's launcher, written into directory."""
    subprocess.run([binary(), "relay", "shim", "--quiet", directory], stdout=subprocess.DEVNULL, env=environment(), timeout=PATIENCE, check=True)
    return os.path.join(directory, "pushpin")
