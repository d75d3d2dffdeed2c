//go:build linux

package relay_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/relay/loadtest"
)

// The goals of MQTT. The first three are relative to the floor.
const (
	goalSaturated = "≥ 8 ×"
	goalSingle    = "≤ 1.3 ×"
	goalPaced     = "≤ 1.3 ×"
	goalIdle      = "≤ 6 kB"
	// Beside mosquitto.
	goalBeside  = "> 10 ×"
	goalNoWorse = "≤ 1 ×"
)

// relayMQTT is the relay over MQTT, with one token that may read and one that
// may write.
func relayMQTT(b *testing.B) loadtest.Spec {
	b.Helper()
	return loadtest.Spec{
		Name: "relay", Start: loadtest.Self("relay"),
		MQTT: &loadtest.MQTT{
			Path: "/mqtt", Topic: benchTopic,
			Read: []string{mintToken(b, 0, []string{benchTopic}, nil)}, Write: []string{mintToken(b, 0, nil, []string{benchTopic})},
		},
	}
}

// relayCross is the relay with subscribers over MQTT and publishers by POST.
func relayCross(b *testing.B) loadtest.Spec {
	b.Helper()
	s, post := relayMQTT(b), relaySpec(b, "", loadtest.Plain)
	s.Name, s.Publish, s.Answer = "relay-from-post", post.Publish, post.Answer
	return s
}

// BenchmarkMQTT measures the relay over MQTT on WebSocket as BenchmarkRelay does
// over event streams, beside a floor that writes ready frames.
func BenchmarkMQTT(b *testing.B) {
	h := newHarness(b)
	var rep loadtest.Report
	relay := relayMQTT(b)
	for _, f := range []loadtest.Figure{
		loadtest.Saturated(1000).OverMQTT(goalSaturated), loadtest.Saturated(10_000).OverMQTT(""),
		loadtest.Single(1000).OverMQTT(goalSingle), loadtest.Paced(1000, 10).OverMQTT(goalPaced),
		loadtest.MQTTPublish(1), loadtest.MQTTPublish(16), loadtest.Connects(loadtest.MaxConns).OverMQTT(""),
	} {
		h.Compare(b, &rep, f, relay)
	}
	h.Compare(b, &rep, loadtest.Saturated(1000).OverMQTT(goalSaturated), relayCross(b))
	h.Compare(b, &rep, loadtest.Saturated(1000).OverMQTT(""), loadtest.FloorMQTT(true))
	h.Compare(b, &rep, loadtest.Stalled(1000, 50, 8000).OverMQTT("< 1.1 ×"), relay)
	h.CompareIdle(b, &rep, loadtest.MaxConns, relay, goalIdle)
	printTable(b, &rep)
}

// needMosquitto, set to anything, makes a missing mosquitto a failure.
const needMosquitto = "PUBSUBCTL_BENCH_MOSQUITTO"

// BenchmarkMQTTBesideMosquitto measures fan-out of the relay beside mosquitto
// and of both beside the floor, all in one run.
func BenchmarkMQTTBesideMosquitto(b *testing.B) {
	h := newHarness(b)
	var rep loadtest.Report
	relay := relayMQTT(b)
	fanOut := []loadtest.Figure{
		loadtest.Saturated(1000).OverMQTT(goalSaturated), loadtest.Saturated(10_000).OverMQTT(""),
		loadtest.Single(1000).OverMQTT(goalSingle), loadtest.Paced(1000, 10).OverMQTT(goalPaced),
	}
	for _, f := range fanOut {
		h.Compare(b, &rep, f, relay)
	}
	if mosquitto, found := mosquittoSpec(b); found {
		for _, f := range fanOut {
			f.Goal = "" // the goals are the relay's
			h.Compare(b, &rep, f, mosquitto)
		}
		for _, n := range []int{1000, 10_000} {
			h.Compare(b, &rep, loadtest.Saturated(n).OverMQTT("").Beside(mosquitto, goalBeside), relay)
		}
		h.Compare(b, &rep, loadtest.Single(1000).OverMQTT("").Beside(mosquitto, goalNoWorse), relay)
		h.Compare(b, &rep, loadtest.MQTTPublish(1).Beside(mosquitto, ""), relay)
		h.Compare(b, &rep, loadtest.Connects(1000).OverMQTT("").Beside(mosquitto, ""), relay)
		h.CompareIdle(b, &rep, loadtest.MaxConns, mosquitto, "")
	}
	h.CompareIdle(b, &rep, loadtest.MaxConns, relay, goalIdle)
	printTable(b, &rep)
}

// mosquittoConfig lets anybody in, drops nothing and sends at once. mosquitto
// 2.0 ends when all its listeners are of WebSockets, so it gets a plain one, and
// for that stays the user it was started by. Without socket_domain it listens on
// every address.
const mosquittoConfig = `user root
allow_anonymous true
set_tcp_nodelay true
max_queued_messages 0
log_type error
listener 0 %s
listener %s 127.0.0.1
socket_domain ipv4
protocol websockets
`

// mosquittoSpec is mosquitto, whose clients need no password, if it is there.
func mosquittoSpec(b *testing.B) (s loadtest.Spec, found bool) {
	b.Helper()
	program, err := exec.LookPath("mosquitto")
	switch {
	case err == nil:
	case os.Getenv(needMosquitto) != "":
		b.Fatalf("mosquitto is not installed, and %s asks for it; on Debian: apt-get install mosquitto", needMosquitto)
	default:
		fmt.Println("mosquitto is not installed, beside the floor only") // a log of a benchmark with parts is not shown
		return s, false
	}
	addr := freeAddress(b)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	config := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, mosquittoConfig, filepath.Join(dir, "plain.sock"), port), 0o600); err != nil {
		b.Fatal(err)
	}
	return loadtest.Spec{
		Name: "mosquitto", Start: loadtest.Command(addr, program, "-c", config),
		MQTT: &loadtest.MQTT{Path: "/mqtt", Topic: benchTopic},
	}, true
}

// freeAddress was free a moment ago: mosquitto cannot choose a port itself.
func freeAddress(b *testing.B) string {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
