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
	goalBeside    = "> 10 ×"
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

// fanOutOverMQTT is what relay and mosquitto are both measured by.
func fanOutOverMQTT() []loadtest.Figure {
	return []loadtest.Figure{
		loadtest.Saturated(1000).OverMQTT(goalSaturated), loadtest.Saturated(10_000).OverMQTT(""),
		loadtest.Single(1000).OverMQTT(goalSingle), loadtest.Paced(1000, 10).OverMQTT(goalPaced),
		loadtest.MQTTPublish(1), loadtest.MQTTPublish(16), loadtest.Connects(loadtest.MaxConns).OverMQTT(""),
	}
}

// BenchmarkMQTT measures the relay over MQTT on WebSocket as BenchmarkRelay does
// over event streams, beside a floor that writes ready frames.
func BenchmarkMQTT(b *testing.B) {
	h := newHarness(b)
	var rep loadtest.Report
	relay := relayMQTT(b)
	for _, f := range fanOutOverMQTT() {
		h.Compare(b, &rep, f, relay)
	}
	h.Compare(b, &rep, loadtest.Saturated(1000).OverMQTT(goalSaturated), relayCross(b))
	h.Compare(b, &rep, loadtest.Saturated(1000).OverMQTT(""), loadtest.FloorMQTT(true))
	h.Compare(b, &rep, loadtest.Stalled(1000, 50, 8000).OverMQTT("< 1.1 ×"), relay)
	h.CompareIdle(b, &rep, loadtest.MaxConns, relay, goalIdle)
	printTable(b, &rep)
}

// BenchmarkMosquitto measures mosquitto, where it is installed, by the same
// figures, and the relay with mosquitto in place of the floor.
func BenchmarkMosquitto(b *testing.B) {
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		b.Skip("mosquitto is not installed")
	}
	h := newHarness(b)
	var rep loadtest.Report
	mosquitto, relay := mosquittoSpec(b, program), relayMQTT(b)
	for _, n := range []int{1000, 10_000} {
		h.Compare(b, &rep, loadtest.Saturated(n).OverMQTT("").Beside(mosquitto, goalBeside), relay)
	}
	h.Compare(b, &rep, loadtest.Single(1000).OverMQTT("").Beside(mosquitto, ""), relay)
	for _, f := range fanOutOverMQTT() {
		f.Goal = "" // the goals are the relay's
		h.Compare(b, &rep, f, mosquitto)
	}
	h.CompareIdle(b, &rep, loadtest.MaxConns, mosquitto, "")
	printTable(b, &rep)
}

// mosquittoConfig lets anybody in, drops nothing and sends at once.
const mosquittoConfig = `listener %s 127.0.0.1
protocol websockets
allow_anonymous true
set_tcp_nodelay true
max_queued_messages 0
log_type error
`

// mosquittoSpec is mosquitto, whose clients need no password.
func mosquittoSpec(b *testing.B, program string) loadtest.Spec {
	b.Helper()
	addr := freeAddress(b)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		b.Fatal(err)
	}
	config := filepath.Join(b.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, mosquittoConfig, port), 0o600); err != nil {
		b.Fatal(err)
	}
	return loadtest.Spec{
		Name: "mosquitto", Start: loadtest.Command(addr, program, "-c", config),
		MQTT: &loadtest.MQTT{Path: "/mqtt", Topic: benchTopic},
	}
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
