//go:build linux

package relay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay/loadtest"
)

// envGripConns sets how many connections BenchmarkGRIP holds, 10,000 if unset.
const envGripConns = "GRIP_CONNS"

// The parts of one measurement.
const (
	gripChannel  = "bench"
	gripPayload  = 200              // bytes of a message
	gripWindow   = 64               // messages on their way; a Pushpin session queues 100
	gripBatch    = 32               // messages of one publish request
	gripBuffer   = 16 << 10         // bytes of a connection's read buffer: all that may be on its way
	gripMessages = 1 << 20          // more are never sent
	gripParallel = 4                // connections being opened at once; Pushpin 1.36 loses some of more
	gripMeasure  = 5 * time.Second  // publishing goes on for so long
	gripPatience = 90 * time.Second // for everybody to be subscribed, and for the last message to arrive
	gripProbe    = time.Second      // between messages that show whether everybody is subscribed
	gripSteady   = 5                // connections accepted in a row by a server that is up
)

// BenchmarkGRIP holds streams, then WebSockets, of an origin behind the relay
// and behind Pushpin, publishes to all of them, and fails if one message is
// lost, repeated or out of order. What it gives is the relay's figure beside
// Pushpin's: deliveries per second of processor time over all processes of the
// server, and resident memory for a connection.
func BenchmarkGRIP(b *testing.B) {
	pushpin, err := exec.LookPath("pushpin")
	if err != nil {
		b.Skip("pushpin is not installed")
	}
	h := newHarness(b)
	relay := filepath.Join(b.TempDir(), "pubsubctl")
	if err := loadtest.Build(b.Context(), "../../cmd/pubsubctl", relay); err != nil {
		b.Fatal(err)
	}
	var rep loadtest.Report
	n := gripConns(b)
	for _, kind := range []gripKind{{"streams", openStream, "≥ 15 ×"}, {"websockets", openSocket, "≥ 50 ×"}} {
		b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
			for b.Loop() {
				beside := measurePushpin(b, h, kind, n, pushpinFront(b, pushpin))
				ours, err := measureGrip(b, h, kind, n, relayFront(b, relay))
				if err != nil {
					b.Fatal(err)
				}
				kind.report(b, &rep, n, ours, beside)
			}
		})
	}
	printTable(b, &rep)
}

func gripConns(b *testing.B) int {
	b.Helper()
	set := os.Getenv(envGripConns)
	if set == "" {
		return loadtest.MaxConns
	}
	n, err := strconv.Atoi(set)
	if err != nil || n < 1 || n > loadtest.MaxConns {
		b.Fatalf("%s=%q: from 1 to %d", envGripConns, set, loadtest.MaxConns)
	}
	return n
}

// gripKind is a kind of connection: how one is opened, and the goal.
type gripKind struct {
	name string
	open func(addr string) (gripReader, error)
	goal string
}

func (k gripKind) report(b *testing.B, rep *loadtest.Report, n int, ours, beside gripResult) {
	name := fmt.Sprintf("grip-%s/%d", k.name, n)
	rep.Add(loadtest.Row{
		Figure: name, Server: "relay beside pushpin", Unit: "deliveries/s/core", Goal: k.goal,
		Value: ours.perCore, Floor: beside.perCore, ServerBusy: ours.busy,
	})
	rep.Add(loadtest.Row{
		Figure: name + "/memory", Server: "relay beside pushpin", Unit: "kB/conn", Goal: "≤ 0.1 ×",
		Value: ours.resident / 1e3, Floor: beside.resident / 1e3,
	})
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.perCore, "deliveries/s/core")
	b.ReportMetric(ours.perCore/beside.perCore, "x-pushpin")
	b.ReportMetric(ours.resident/1e3, "kB/conn")
	b.ReportMetric(ours.resident/beside.resident, "x-pushpin-memory")
	b.ReportMetric(ours.rate, "deliveries/s")
}

// gripFront is a GRIP proxy in front of an origin.
type gripFront struct {
	publish string // URL
	spec    loadtest.Spec
}

// relayFront is the relay as a user starts it.
func relayFront(b *testing.B, program string) func(origin string) gripFront {
	return func(origin string) gripFront {
		hub, control := freeAddress(b), freeAddress(b)
		return gripFront{
			publish: "http://" + control + "/publish/",
			spec: loadtest.Spec{Name: "relay", Start: loadtest.Command(hub, program,
				"relay", "--listen", hub, "--control", control, "--app", "none", "--quiet", "--route", "* "+origin+",over_http")},
		}
	}
}

// pushpinConfig lifts Pushpin's own limits, which are below what is measured.
const pushpinConfig = `[global]
include=/usr/lib/pushpin/internal.conf
rundir=%[1]s
ipc_prefix=p-
[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port=%[2]s
logdir=%[1]s
log_level=0
client_maxconn=20000
[proxy]
routesfile=%[1]s/routes
sig_iss=pushpin
sig_key=changeme
zurl_out_specs=ipc://%[1]s/p-zurl-in
zurl_out_stream_specs=ipc://%[1]s/p-zurl-in-stream
zurl_in_specs=ipc://%[1]s/p-zurl-out
[handler]
push_in_spec=ipc://%[1]s/p-push
push_in_sub_specs=ipc://%[1]s/p-sub
command_spec=ipc://%[1]s/p-command
stats_spec=ipc://%[1]s/p-stats
push_in_http_addr=%[3]s
push_in_http_port=%[4]s
message_rate=100000000
message_hwm=100000000
`

// pushpinFront is Pushpin as Debian packages it, with zurl of its own.
func pushpinFront(b *testing.B, program string) func(origin string) gripFront {
	return func(origin string) gripFront {
		// Not b.TempDir: Pushpin's sockets need a short path.
		dir, err := os.MkdirTemp("", "pp") //nolint:usetesting // see above
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = os.RemoveAll(dir) })
		hub, control := freeAddress(b), freeAddress(b)
		host, port := splitAddress(b, control)
		config := filepath.Join(dir, "pushpin.conf")
		write := func(name, text string) {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
		}
		write(config, fmt.Sprintf(pushpinConfig, dir, hub, host, port))
		write(filepath.Join(dir, "routes"), "* "+origin+",over_http\n")
		return gripFront{
			publish: "http://" + control + "/publish/",
			spec:    loadtest.Spec{Name: "pushpin", Start: loadtest.Command(hub, program, "--config="+config)},
		}
	}
}

// gripOrigin answers like the smallest origin there is.
func gripOrigin(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Grip-Hold", "stream")
		w.Header().Set("Grip-Channel", gripChannel)
		return
	}
	w.Header().Set("Content-Type", "application/websocket-events")
	w.Header().Set("Sec-WebSocket-Extensions", `grip; message-prefix=""`)
	subscribe := fmt.Sprintf(`c:{"type":"subscribe","channel":%q}`, gripChannel)
	fmt.Fprintf(w, "OPEN\r\nTEXT %x\r\n%s\r\n", len(subscribe), subscribe)
}

// gripResult is what one server did.
type gripResult struct {
	perCore  float64 // deliveries per second of its processor time
	rate     float64 // deliveries per second
	busy     float64 // its share of a core
	resident float64 // bytes per connection
}

// measurePushpin tries again when Pushpin 1.36 has dropped a client, which it
// does now and then under load. It is measured for comparison, not judged.
func measurePushpin(b *testing.B, h *loadtest.Harness, kind gripKind, n int, front func(origin string) gripFront) gripResult {
	b.Helper()
	for range 3 {
		r, err := measureGrip(b, h, kind, n, front)
		if err == nil {
			return r
		}
		b.Log(err)
	}
	b.Fatal("pushpin lost clients or messages in each of three tries")
	return gripResult{}
}

func measureGrip(b *testing.B, h *loadtest.Harness, kind gripKind, n int, front func(origin string) gripFront) (r gripResult, err error) {
	b.Helper()
	origin := httptest.NewServer(http.HandlerFunc(gripOrigin))
	defer origin.Close()
	f := front(origin.Listener.Addr().String())
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s, %s: %w", f.spec.Name, kind.name, err)
		}
	}()
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	srv, err := h.Start(ctx, f.spec)
	if err != nil {
		return r, err
	}
	defer func() { _ = srv.Stop() }()
	if err = awaitFront(srv.Addr, kind); err != nil {
		return r, err
	}
	if r, err = newGripRun(srv, f.publish, n).measure(ctx, kind); err != nil {
		return r, err
	}
	b.Logf("%s, %d %s: %.0f deliveries/s/core, %.0f deliveries/s, %.0f %% busy, %.1f kB/conn",
		f.spec.Name, n, kind.name, r.perCore, r.rate, 100*r.busy, r.resident/1e3)
	return r, nil
}

// awaitFront opens connections until several in a row are accepted: Pushpin's
// listener is there before the processes behind it are, and those find each
// other one by one.
func awaitFront(addr string, kind gripKind) error {
	again := time.NewTicker(gripProbe / 5)
	defer again.Stop()
	late := time.After(gripPatience)
	for accepted := 0; accepted < gripSteady; {
		c, err := kind.open(addr)
		if err == nil {
			accepted++
			err = c.Close()
		} else {
			accepted = 0
		}
		select {
		case <-again.C:
		case <-late:
			return fmt.Errorf("not steady after %v: %w", gripPatience, err)
		}
	}
	return nil
}

// publish sends messages first to last to everybody, in one request.
func (r *gripRun) publish(ctx context.Context, first, last int) error {
	var items []any
	for seq := first; seq <= last; seq++ {
		text := fmt.Sprintf("%010d %0*d\n", seq, gripPayload-12, 0)
		items = append(items, map[string]any{"channel": gripChannel, "formats": map[string]any{
			"http-stream": map[string]string{"content": text}, "ws-message": map[string]string{"content": text},
		}})
	}
	body, err := json.Marshal(map[string]any{"items": items})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.publishURL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("publish: %s", resp.Status)
	}
	return nil
}
