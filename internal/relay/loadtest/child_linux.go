package loadtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// The environment by which a child process knows what it is.
const (
	envRole = "PUBSUBCTL_LOADTEST_ROLE"
	envArgs = "PUBSUBCTL_LOADTEST_ARGS"

	roleFloor = "floor"
	roleLoad  = "load"

	// stopPatience is how long a server may take to end after it was asked to.
	stopPatience = 3 * time.Second
)

// Role is a server run as a child process. It calls ready once with the numeric
// IPv4 address and port it listens on, serves until ctx ends and then returns.
type Role func(ctx context.Context, args []string, ready func(addr string)) error

// hello is the first line of a server child; settled answers "settle".
type hello struct{ Addr string }

type settled struct {
	Heap int64 // live heap in bytes, after a collection
}

// Child runs the role this process was started for and exits. In a process the
// harness did not start it returns at once. A TestMain calls it first:
//
//	loadtest.Child(map[string]loadtest.Role{"relay": serveRelay})
//	os.Exit(m.Run())
func Child(roles map[string]Role) {
	name := os.Getenv(envRole)
	if name == "" {
		return
	}
	if err := childMain(name, roles); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func childMain(name string, roles map[string]Role) error {
	role := roles[name]
	switch {
	case name == roleNothing:
		return nil
	case name == roleLoad:
		return serveLoad(os.Stdin, os.Stdout)
	case name == roleFloor:
		role = serveFloor
	case role == nil:
		return errors.New("no such role")
	}
	var args []string
	if err := json.Unmarshal([]byte(os.Getenv(envArgs)), &args); err != nil {
		return fmt.Errorf("read arguments: %w", err)
	}
	return serveRole(role, args, os.Stdin, os.Stdout)
}

// serveRole runs a server until in ends, and settles its memory on demand.
func serveRole(role Role, args []string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	say := &lineWriter{enc: json.NewEncoder(out)}
	go func() { // ends with in, which the harness closes, and then ends the process if the role does not
		defer time.AfterFunc(stopPatience, func() { os.Exit(1) })
		defer cancel()
		for lines := bufio.NewScanner(in); lines.Scan(); {
			say.write(settle())
		}
	}()
	return role(ctx, args, func(addr string) { say.write(hello{addr}) })
}

// settle gives back what is garbage, so that memory in use can be read.
func settle() settled {
	runtime.GC()
	debug.FreeOSMemory() // collects once more: the first collection empties pools into victims
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return settled{Heap: int64(m.HeapAlloc)}
}

// lineWriter writes JSON lines from several goroutines.
type lineWriter struct {
	mu  sync.Mutex // guards enc
	enc *json.Encoder
}

func (w *lineWriter) write(v any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.enc.Encode(v) // the harness notices an answer that does not come
}

// outcome is the load process's answer to an order.
type outcome struct {
	Result Result
	Err    string
}

// serveLoad runs orders, one JSON line each, until in ends.
func serveLoad(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	debug.SetGCPercent(400) // its own collections must not slow the reader down
	dec, enc := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	for {
		var o order
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read order: %w", err)
		}
		result, err := execute(o, func() error { return hold(dec, enc) })
		answer := outcome{Result: result}
		if err != nil {
			answer.Err = err.Error()
		}
		if err := enc.Encode(answer); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
	}
}

// hold tells the harness that the streams of an Idle job stand, and keeps them
// until it is sent the next line.
func hold(dec *json.Decoder, enc *json.Encoder) error {
	if err := enc.Encode(outcome{}); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	var release struct{}
	if err := dec.Decode(&release); err != nil {
		return fmt.Errorf("read release: %w", err)
	}
	return nil
}

// driver moves a job's bytes over some wire.
type driver interface {
	connect() error // opens all streams, between the first and the last sample
	traffic() error // opens, publishes, reads
	close()
}

// execute runs one job; hold is called while the streams of an Idle job stand.
func execute(o order, hold func() error) (Result, error) {
	if err := o.Job.check(); err != nil {
		return Result{}, err
	}
	r := newRun(o, cpuMeter(o.Target.PIDs, o.Target.Cores))
	d, err := newDriver(r)
	if err != nil {
		return Result{}, err
	}
	err = perform(d, o.Job.Kind, hold)
	d.close() // before the result is read: nobody else may own the run by then
	return r.result(), err
}

func perform(d driver, kind Kind, hold func() error) error {
	if kind == Traffic {
		return d.traffic()
	}
	if err := d.connect(); err != nil || kind != Idle {
		return err
	}
	return hold()
}

func newDriver(r *run) (driver, error) {
	switch {
	case r.target.Wire == Plain:
		return newLoad(r)
	case r.target.MQTT != nil:
		return nil, errors.New("a broker is measured over a plain connection")
	}
	return newStreams(r), nil
}
