package loadtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// cores names the processor the server is bound to and the one for the load
// generator; they are the same where the machine allows only one.
type cores struct{ server, load int }

// list is each of the two once.
func (c cores) list() []int {
	if c.server == c.load {
		return []int{c.server}
	}
	return []int{c.server, c.load}
}

// allowedCores picks two of the processors this process may use.
func allowedCores() (cores, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return cores{}, fmt.Errorf("read allowed processors: %w", err)
	}
	var found []int
	for cpu := 0; cpu < len(set)*64 && len(found) < 2; cpu++ {
		if set.IsSet(cpu) {
			found = append(found, cpu)
		}
	}
	if len(found) == 0 {
		return cores{}, errors.New("read allowed processors: none")
	}
	return cores{server: found[0], load: found[len(found)-1]}, nil
}

// process is a child bound to one core.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err *tail
}

// startBound starts cmd on one core with one running Go thread. The binding is
// inherited, so that it holds for every thread of any program from its start.
func startBound(cmd *exec.Cmd, core int) (*process, error) {
	p := &process{cmd: cmd, err: new(tail)}
	cmd.Env = append(os.Environ(), append(cmd.Env, "GOMAXPROCS=1")...)
	cmd.Stderr = p.err
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := onCore(core, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// onCore calls f on a thread that is bound to a core meanwhile.
func onCore(core int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read allowed processors: %w", err)
	}
	only.Set(core)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("bind to processor %d: %w", core, err)
	}
	err := f()
	return errors.Join(err, unix.SchedSetaffinity(0, &before))
}

// startRole starts this very binary in one of its roles.
func startRole(role string, args []string, core int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	list, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("write arguments: %w", err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{envRole + "=" + role, envArgs + "=" + string(list)}
	return startBound(cmd, core)
}

// send writes one JSON line to the child.
func (p *process) send(v any) error {
	if err := json.NewEncoder(p.in).Encode(v); err != nil {
		return fmt.Errorf("ask child: %w%s", err, p.err.note())
	}
	return nil
}

// receive reads the child's next JSON line into v. When ctx ends first the
// child is killed, which ends the read.
func (p *process) receive(ctx context.Context, v any) error {
	defer context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() })()
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("hear from child: %w%s", errors.Join(err, ctx.Err()), p.err.note())
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("hear from child: %q: %w", clip(line), err)
	}
	return nil
}

// stop ends the child: politely by ending its input, then by force.
func (p *process) stop() error {
	_ = p.in.Close()
	force := time.AfterFunc(stopPatience, func() { _ = p.cmd.Process.Kill() })
	defer force.Stop()
	_, _ = io.Copy(io.Discard, p.out) // Wait must not be called before the last read
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("stop child: %w%s", err, p.err.note())
	}
	return nil
}

// tailSize is how much of a child's stderr is kept, in bytes.
const tailSize = 4 << 10

// tail keeps the end of what is written to it, for error messages.
type tail struct {
	mu  sync.Mutex // guards buf
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) note() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.buf) == 0 {
		return ""
	}
	return fmt.Sprintf(" (its stderr: %q)", t.buf)
}
