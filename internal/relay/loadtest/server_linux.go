package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// startLimit bounds how long a server may take to listen.
const startLimit = 10 * time.Second

// Server is a running server under test.
type Server struct {
	// Addr is the numeric IPv4 address and port of its data plane.
	Addr string
	// PIDs are the processes whose processor time and memory are the server's.
	PIDs []int
	// Settle collects the server's garbage and returns its live heap in bytes.
	// Nil for a server that cannot be asked.
	Settle func(context.Context) (heap int64, err error)
	// Stop ends the server. It is called once.
	Stop func() error
}

// Spec is a server that can be measured.
type Spec struct {
	// Name is the server's name in reports.
	Name string
	// Start runs the server bound to the given processor.
	Start func(ctx context.Context, core int) (*Server, error)
	// Wire is how to reach it.
	Wire Wire
	// Subscribe holds complete request heads; stream i sends number i modulo their count.
	Subscribe [][]byte
	// Ready is what a stream shows, behind its response head, once it is
	// subscribed. Empty means the head is enough.
	Ready string
	// Status is the wanted status of a stream; 0 stands for 200.
	Status int
	// Publish returns what goes before a message of size bytes: a POST head, or
	// a packet header. Publisher i uses number i modulo their count.
	Publish func(size int) [][]byte
	// Answer is what each publish is answered with first, "HTTP/1.1 200" for a
	// POST. Empty means publishes are not answered, and an answer is an error.
	Answer string
	// MQTT, if not nil, makes subscribers speak MQTT, and publishers, too, where
	// Publish is nil. Subscribe, Ready and Status are then not used; Wire is Plain.
	MQTT *MQTT
}

// Floor is the least any server can do. With batch set it writes all messages
// that wait for a subscriber at once, which a server may under load, too.
func Floor(batch bool) Spec {
	s := Spec{
		Name: "floor", Start: Self(roleFloor),
		Subscribe: [][]byte{Request("GET", "/", 0)}, Ready: floorReady,
		Publish: func(size int) [][]byte { return [][]byte{Request("POST", "/", size)} },
		Answer:  "HTTP/1.1 200",
	}
	if batch {
		s.Name, s.Start = "floor-batch", Self(roleFloor, floorBatch)
	}
	return s
}

// FloorMQTT is the least a broker can do, in the same two ways. Its publishers
// speak MQTT.
func FloorMQTT(batch bool) Spec {
	s := Spec{Name: "floor-mqtt", Start: Self(roleFloor, floorMQTT), MQTT: &MQTT{Path: "/", Topic: "floor"}}
	if batch {
		s.Name, s.Start = "floor-mqtt-batch", Self(roleFloor, floorMQTT, floorBatch)
	}
	return s
}

// Self starts the running binary again in a role it gave to Child.
func Self(role string, args ...string) func(context.Context, int) (*Server, error) {
	return func(ctx context.Context, core int) (*Server, error) {
		p, err := startRole(role, args, core)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, startLimit)
		defer cancel()
		var h hello
		if err := p.receive(ctx, &h); err != nil {
			return nil, errors.Join(fmt.Errorf("start %s: %w", role, err), p.stop())
		}
		settle := func(ctx context.Context) (int64, error) { return p.settle(ctx) }
		return &Server{Addr: h.Addr, PIDs: []int{p.cmd.Process.Pid}, Settle: settle, Stop: p.stop}, nil
	}
}

func (p *process) settle(ctx context.Context) (heap int64, err error) {
	if err := p.send("settle"); err != nil {
		return 0, err
	}
	var s settled
	err = p.receive(ctx, &s)
	return s.Heap, err
}

// Command starts a foreign server and waits until addr accepts a connection.
// It is stopped by SIGTERM. Processes it has started by then count as its own.
func Command(addr string, argv ...string) func(context.Context, int) (*Server, error) {
	return func(ctx context.Context, core int) (*Server, error) {
		p, err := startBound(exec.Command(argv[0], argv[1:]...), core)
		if err != nil {
			return nil, err
		}
		stop := func() error { return p.terminate() }
		if err := awaitListener(ctx, addr); err != nil {
			return nil, errors.Join(fmt.Errorf("start %s: %w%s", argv[0], err, p.err.note()), stop())
		}
		return &Server{Addr: addr, PIDs: family(p.cmd.Process.Pid), Stop: stop}, nil
	}
}

// terminate ends a foreign server, for which dying of the signal is no failure.
func (p *process) terminate() error {
	if err := p.cmd.Process.Signal(unix.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", p.cmd.Path, err)
	}
	if err := p.stop(); p.cmd.ProcessState == nil {
		return err
	}
	return nil
}

func awaitListener(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", addr, err)
		case <-again.C:
		}
	}
}
