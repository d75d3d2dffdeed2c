package loadtest

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// brief is a job short enough for a test, and for a test on a busy machine: few
// messages are on their way when it ends.
func brief(subscribers int) Job {
	return Job{Subscribers: subscribers, Window: 8, Warmup: 10 * time.Millisecond, Measure: 100 * time.Millisecond}
}

func newHarness(t testing.TB) *Harness {
	t.Helper()
	h, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTrafficReachesEverySubscriber(t *testing.T) {
	single, paced, post := brief(20), brief(20), brief(0)
	single.Window = 1
	paced.Rate = 100
	post.Publishers, post.Depth = 4, 1
	many := brief(20)
	many.Publishers = 3
	stalled := brief(20)
	stalled.Stalled = 1
	tests := []struct {
		name string
		spec Spec
		job  Job
	}{
		{"saturated floor", Floor(false), brief(20)},
		{"saturated batching floor", Floor(true), brief(20)},
		{"one message at a time", Floor(false), single},
		{"paced", Floor(false), paced},
		{"several publishers", Floor(true), many},
		{"publishing to nobody", Floor(false), post},
		{"a stalled reader beside the others", simpleSpec(t, Plain, ""), stalled},
		{"net/http", simpleSpec(t, Plain, ""), brief(20)},
		{"net/http over TLS", simpleSpec(t, TLS, ""), brief(20)},
		{"net/http over HTTP/2", simpleSpec(t, HTTP2, ""), brief(20)},
		{"paced over HTTP/2", simpleSpec(t, HTTP2, ""), paced},
	}
	h := newHarness(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := h.Run(t.Context(), tt.spec, tt.job)
			if err != nil {
				t.Fatal(err)
			}
			checkResult(t, tt.job, r)
		})
	}
}

func checkResult(t *testing.T, j Job, r Result) {
	t.Helper()
	t.Logf("%+v", r)
	if r.Published == 0 || r.Server <= 0 || r.Wall < j.Measure {
		t.Errorf("measured nothing: %+v", r)
	}
	if j.Subscribers == 0 {
		return
	}
	if r.Delivered == 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Max < r.P99 {
		t.Errorf("no deliveries, or latencies that cannot be: %+v", r)
	}
}

func TestFaultsFailTheRun(t *testing.T) {
	tests := []struct{ fault, want string }{
		{"drop", "lost, repeated or out of order"},
		{"repeat", "lost, repeated or out of order"},
		{"swap", "lost, repeated or out of order"},
		{"damage", "payload arrived damaged"},
		{"silent", "limit of 3s passed: subscriber"},
		{"refuse", `publish answered "HTTP/1.1 403`},
	}
	h := newHarness(t)
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			j := brief(3)
			j.Limit = 3 * time.Second
			_, err := h.Run(t.Context(), simpleSpec(t, Plain, tt.fault), j)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestConnectOpensEveryStream(t *testing.T) {
	kept := Job{Kind: Connect, Subscribers: 100} // more than open at once
	dropped := kept
	dropped.Drop = true
	tests := []struct {
		name string
		spec Spec
		job  Job
	}{
		{"kept", Floor(false), kept},
		{"dropped", Floor(false), dropped},
		{"net/http", simpleSpec(t, Plain, ""), kept},
		{"TLS", simpleSpec(t, TLS, ""), kept},
		{"HTTP/2", simpleSpec(t, HTTP2, ""), dropped},
	}
	h := newHarness(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := h.Run(t.Context(), tt.spec, tt.job)
			if err != nil {
				t.Fatal(err)
			}
			if r.Opened != 100 || r.Server <= 0 {
				t.Errorf("opened %d streams with %v of server time, want 100", r.Opened, r.Server)
			}
		})
	}
}

func TestIdleMemoryTellsServersApart(t *testing.T) {
	h := newHarness(t)
	floor, err := h.Idle(t.Context(), Floor(false), 1000)
	if err != nil {
		t.Fatal(err)
	}
	simple, err := h.Idle(t.Context(), simpleSpec(t, Plain, ""), 1000)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("floor %+v, net/http %+v", floor, simple)
	if simple.Resident < 10_000 || simple.Heap < 5_000 || floor.Heap > 1_000 {
		t.Errorf("per connection: floor %+v, net/http %+v; a net/http handler takes tens of kilobytes", floor, simple)
	}
}

// foreign makes children of Command serve in a role, for want of a program of
// somebody else's.
func foreign(t *testing.T) string {
	t.Helper()
	t.Setenv(envRole, "simple")
	t.Setenv(envArgs, `[""]`)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

func TestCommandWaitsForTheListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	srv, err := Command(ln.Addr().String(), foreign(t))(t.Context(), newHarness(t).cores.server)
	if err != nil {
		t.Fatal(err)
	}
	if len(srv.PIDs) != 1 || srv.PIDs[0] == os.Getpid() {
		t.Errorf("processes %v, want the child's", srv.PIDs)
	}
	if m, err := srv.memory(t.Context()); err != nil || m.Resident == 0 {
		t.Errorf("memory %+v, %v", m, err)
	}
	if err := srv.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := cpuOf(srv.PIDs[0]); err == nil {
		t.Error("the child is still there after Stop")
	}
}

func TestCommandThatDoesNotListenIsAnError(t *testing.T) {
	s := Floor(false)
	s.Start = Command("127.0.0.1:1", foreign(t))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := newHarness(t).Run(ctx, s, brief(1)); err == nil || !strings.Contains(err.Error(), "wait for 127.0.0.1:1") {
		t.Errorf("got error %v, want one about a server that does not listen", err)
	}
}

func TestFamilyHasDescendants(t *testing.T) {
	p, err := startRole(roleFloor, nil, newHarness(t).cores.server)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	if pids := family(os.Getpid()); pids[0] != os.Getpid() || !slices.Contains(pids, p.cmd.Process.Pid) {
		t.Errorf("family %v lacks process %d", pids, p.cmd.Process.Pid)
	}
}

func TestChildrenAreBoundToOneCore(t *testing.T) {
	h := newHarness(t)
	p, err := startRole(roleFloor, nil, h.cores.load)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	var hi hello
	if err := p.receive(t.Context(), &hi); err != nil {
		t.Fatal(err)
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(p.cmd.Process.Pid, &set); err != nil {
		t.Fatal(err)
	}
	if set.Count() != 1 || !set.IsSet(h.cores.load) {
		t.Errorf("the child may use %d processors, want only number %d", set.Count(), h.cores.load)
	}
}

func TestFailingServerIsQuoted(t *testing.T) {
	s := Floor(false)
	s.Start = Self("no such server")
	if _, err := newHarness(t).Run(t.Context(), s, brief(1)); err == nil || !strings.Contains(err.Error(), "no such role") {
		t.Errorf("got error %v, want what the child wrote to stderr", err)
	}
}

func TestStartTimes(t *testing.T) {
	whole, err := Nothing(t.Context())
	if err != nil || whole <= 0 {
		t.Errorf("a program that does nothing: %v, %v", whole, err)
	}
	self := foreign(t)
	if d, err := ToFirstLine(t.Context(), self); err != nil || d <= 0 {
		t.Errorf("first line after %v, %v", d, err)
	}
	t.Setenv(envRole, roleNothing)
	if d, err := ToExit(t.Context(), self); err != nil || d <= 0 {
		t.Errorf("exit after %v, %v", d, err)
	}
	if _, err := ToFirstLine(t.Context(), self); err == nil {
		t.Error("a program that says nothing has a first line")
	}
	t.Setenv(envRole, "no such role")
	if _, err := ToExit(t.Context(), self); err == nil {
		t.Error("a failing program counts as run")
	}
}
