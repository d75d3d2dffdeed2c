"""`fastly compute serve` with the relay's launcher in Pushpin's place: a JavaScript Compute app that hands off to itself.

    fastly_cli.py [PROGRAM]   PROGRAM is started instead of the relay's launcher

VICEROY is the path of Viceroy, NODE_HOME the directory where @fastly/cli and @fastly/js-compute are installed.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from front import SERVICE, Stream, Web, curl_publish
from grip_wire import PATIENCE
from peer import ROOT, Lines, Missing, check, environment, run, stop
from pushpin import free_ports, shim

APP = ROOT / "testdata" / "origins" / "compute"


def offline():
    """An environment in which the CLI asks nobody on the network for anything: what it tries ends at once, on this machine."""
    nobody = "http://127.0.0.1:9"
    return environment(HTTPS_PROXY=nobody, HTTP_PROXY=nobody, NO_PROXY="127.0.0.1,localhost",
                       FASTLY_WASM_METADATA_DISABLE="true")


class Serve:
    """The CLI, Viceroy and the relay, as `fastly compute serve` starts them, on free ports."""

    def __init__(self, scratch):
        home = pathlib.Path(os.environ["NODE_HOME"])
        project = scratch / "kit"
        shutil.copytree(APP, project)
        (project / "node_modules").symlink_to(home / "node_modules")
        self.app, self.proxy, self.publish = self._ports()
        manifest = project / "fastly.toml"
        manifest.write_text(manifest.read_text().replace("7676", str(self.app)))
        tools = home / "node_modules" / ".bin"
        subprocess.run([tools / "js-compute-runtime", "index.js", "bin/main.wasm"], cwd=project, env=offline(), timeout=300, check=True)
        self.process = subprocess.Popen(
            [tools / "fastly", "compute", "serve", "--non-interactive", "--skip-build", "--addr", "127.0.0.1:%d" % self.app,
             "--viceroy-path", os.environ["VICEROY"], "--pushpin-path", *(sys.argv[1:] or [shim(str(scratch))]),
             "--pushpin-proxy-port", str(self.proxy), "--pushpin-publish-port", str(self.publish)],
            cwd=project, env=offline(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            self.lines = Lines(self.process.stdout)
            self.lines.until(lambda line: "Pushpin started" in line, "the CLI did not accept the relay")
            self.lines.until(lambda line: "Listening on" in line, "Viceroy does not listen",
                             patience=150)  # it compiles the app first
        except BaseException:  # whatever it was, nothing must stay behind
            self.__exit__()
            raise

    @staticmethod
    def _ports():
        """Ports for the app, the proxy, and the publish API; the CLI wants the three after the last one too."""
        while True:
            app, proxy, publish = free_ports(3)
            if publish < 60000 and not {app, proxy} & set(range(publish, publish + 4)):
                return app, proxy, publish

    @property
    def address(self):
        return "127.0.0.1", self.app

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)


def endpoints(serve, say, how):
    for path, opening in (("/stream", "[stream open]\n"), ("/sse", "event: stream-open\n")):
        stream = Stream(serve.address, path)
        stream.until(opening)
        say("to the stream\n")
        stream.until("to the stream\n")
        stream.close()
    check(Stream(serve.address, "/long-poll").released(lambda: say("news\n")) == "news\n", "%s: /stream, /sse and /long-poll get it" % how)
    web = Web(serve.address, "/websocket")
    web.receives(lambda: say("to the socket"), "to the socket")
    web.send("hello " + how)
    web.until("hello " + how)
    web.close()
    check(True, "%s: /websocket gets it, echoes and closes" % how)


def main():
    with tempfile.TemporaryDirectory() as scratch, Serve(pathlib.Path(scratch)) as serve:
        control = "http://127.0.0.1:%d" % serve.publish
        endpoints(serve, lambda text: curl_publish([control + "/publish/"], "test", text), "Pushpin's way")
        service = ["--header", "Fastly-Key: anything", "%s/service/%s/publish/" % (control, SERVICE)]
        endpoints(serve, lambda text: curl_publish(service, "test", text), "Fastly's way")
        check(Stream(serve.address, "/long-poll").finish() == "nothing new\n", "a long-poll ends after its timeout")
        try:
            urllib.request.urlopen("http://127.0.0.1:%d/elsewhere" % serve.app, timeout=PATIENCE)
            raise Missing("/elsewhere should be 404")
        except urllib.error.HTTPError as err:
            check(err.code == 404, "a plain answer passes through both")


if __name__ == "__main__":
    sys.exit(run(main))
