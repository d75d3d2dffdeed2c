package loadtest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// slack is what a job may take beyond its limit for starting and stopping.
const slack = 5 * time.Second

// warmConns is how many streams come and go before idle memory is measured, so
// that what a server allocates once does not count as a connection's.
const warmConns = 200

// Harness runs jobs: server on one core, load generator on another. It has no
// state of its own, so several may exist, but two running at once disturb each
// other's figures.
type Harness struct{ cores cores }

// New finds the cores to use.
func New() (*Harness, error) {
	c, err := allowedCores()
	return &Harness{cores: c}, err
}

// Shared reports whether server and load generator have to share one core, which
// makes figures of wall time meaningless.
func (h *Harness) Shared() bool { return h.cores.server == h.cores.load }

// Memory is what one idle connection costs the server, in bytes, the kernel's
// socket buffers not included.
type Memory struct {
	// Resident is the growth of the resident set, after a collection where the server can be asked for one.
	Resident float64
	// Heap is the growth of the live Go heap, 0 if the server cannot be asked.
	Heap float64
}

// Run measures one job against a fresh server. It takes no longer than the
// job's limit and a few seconds.
func (h *Harness) Run(ctx context.Context, s Spec, j Job) (r Result, err error) {
	j = j.withDefaults()
	err = h.with(ctx, s, j, func(ctx context.Context, srv *Server, gen *process) error {
		r, err = order{Job: j, Target: h.target(s, srv, j)}.run(ctx, gen)
		return err
	})
	return r, err
}

// Idle opens n streams on a fresh server, leaves them alone and measures what
// they cost it.
func (h *Harness) Idle(ctx context.Context, s Spec, n int) (m Memory, err error) {
	warm := Job{Kind: Connect, Subscribers: min(n, warmConns), Drop: true}.withDefaults()
	idle := Job{Kind: Idle, Subscribers: n}
	if s.MQTT != nil {
		idle.Limit = brokerLimit
	}
	idle = idle.withDefaults()
	err = h.with(ctx, s, idle, func(ctx context.Context, srv *Server, gen *process) error {
		if _, err := (order{Job: warm, Target: h.target(s, srv, warm)}).run(ctx, gen); err != nil {
			return err
		}
		before, err := srv.memory(ctx)
		if err != nil {
			return err
		}
		if _, err := (order{Job: idle, Target: h.target(s, srv, idle)}).run(ctx, gen); err != nil {
			return err
		}
		after, err := srv.memory(ctx)
		if err != nil {
			return err
		}
		m = Memory{Resident: (after.Resident - before.Resident) / float64(n), Heap: (after.Heap - before.Heap) / float64(n)}
		return gen.release(ctx)
	})
	return m, err
}

// with runs f beside a fresh server and a fresh load generator and ends both.
func (h *Harness) with(ctx context.Context, s Spec, j Job, f func(context.Context, *Server, *process) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, j.Limit+slack)
	defer cancel()
	defer func() {
		if err != nil {
			err = fmt.Errorf("measure %s: %w", s.Name, err)
		}
	}()
	srv, err := s.Start(ctx, h.cores.server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Stop()) }()
	gen, err := startRole(roleLoad, nil, h.cores.load)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gen.stop()) }()
	return f(ctx, srv, gen)
}

func (h *Harness) target(s Spec, srv *Server, j Job) target {
	t := target{
		Addr: srv.Addr, PIDs: srv.PIDs, Cores: h.cores.list(), Wire: s.Wire, Status: s.Status, Ready: s.Ready,
		Subscribe: s.Subscribe, Answer: s.Answer, MQTT: s.MQTT,
	}
	if s.Publish != nil {
		t.Publish = s.Publish(j.Payload)
	}
	return t
}

// run sends the order to the load process and waits for its outcome.
func (o order) run(ctx context.Context, gen *process) (Result, error) {
	if err := gen.send(o); err != nil {
		return Result{}, err
	}
	var r outcome
	if err := gen.receive(ctx, &r); err != nil {
		return Result{}, err
	}
	if r.Err != "" {
		return r.Result, errors.New(r.Err)
	}
	return r.Result, nil
}

// release ends an Idle job.
func (p *process) release(ctx context.Context) error {
	if err := p.send(struct{}{}); err != nil {
		return err
	}
	return p.receive(ctx, new(outcome))
}

// memory reads what the server holds now, in bytes and not per connection.
func (s *Server) memory(ctx context.Context) (m Memory, err error) {
	if s.Settle != nil {
		heap, err := s.Settle(ctx)
		if err != nil {
			return m, err
		}
		m.Heap = float64(heap)
	}
	resident, err := residentOf(s.PIDs)
	m.Resident = float64(resident)
	return m, err
}
