package loadtest

import (
	"errors"
	"fmt"
	"time"
)

// phase is where a traffic job stands.
type phase int

const (
	warming phase = iota
	measuring
	draining // nothing more is published; everything sent must still arrive
)

// sample is the counters at one moment.
type sample struct {
	at                           int64
	delivered, published, opened uint64
	usage
}

// usage is processor time used so far: by the server, by the load generator, and
// by anybody at all on their cores.
type usage struct{ server, generator, cores time.Duration }

// run is the bookkeeping of one job, whatever moves its bytes. Its owner is the
// goroutine that holds it; a load generator with several guards it by a mutex.
type run struct {
	job    Job
	target target
	expect expect
	ledger *ledger
	base   time.Time
	cpu    func() (usage, error)

	heads     [][]byte // what goes before a message
	plain     int      // so much of a head is not masked; only if maskBlock is not nil
	maskBlock []byte

	phase    phase
	phaseEnd int64
	limit    int64
	paceFrom int64 // when message 0 was due; with a rate only
	answered []uint32
	answers  []answers
	opened   int

	first, last sample
}

func newRun(o order, cpu func() (usage, error)) *run {
	r := &run{
		job: o.Job, target: o.Target, base: time.Now(), cpu: cpu,
		expect:   o.expect(),
		heads:    o.Target.Publish,
		ledger:   newLedger(o.Job.Subscribers, o.Job.Publishers, o.Job.Window),
		limit:    int64(o.Job.Limit),
		answered: make([]uint32, o.Job.Publishers),
		answers:  make([]answers, o.Job.Publishers),
	}
	if r.target.publishesMQTT() {
		head, plain := r.target.MQTT.publishHead(r.job.Payload)
		r.heads, r.plain = [][]byte{head}, plain
		r.maskBlock = maskBlock([]byte(maskKey), len(head)-plain+r.job.Payload)
	}
	return r
}

func (o order) expect() expect {
	e := expect{status: o.Target.Status, ready: []byte(o.Target.Ready), size: o.Job.Payload, padding: paddingBlock()}
	or(&e.status, 200)
	if m := o.Target.MQTT; m != nil {
		e.status, e.ready, e.mqtt, e.topic = 101, nil, true, m.Topic
	}
	return e
}

// now is the run's clock in nanoseconds.
func (r *run) now() int64 { return int64(time.Since(r.base)) }

// sample reads the counters.
func (r *run) sample() (sample, error) {
	s := sample{at: r.now(), delivered: r.ledger.delivered, published: r.published(), opened: uint64(r.opened)}
	var err error
	s.usage, err = r.cpu()
	return s, err
}

// begin starts the warm-up, once every stream is open.
func (r *run) begin() {
	now := r.now()
	r.phase, r.phaseEnd, r.paceFrom = warming, now+int64(r.job.Warmup), now
	r.ledger.from = r.phaseEnd
}

// tick moves on to the next phase when it is time. finished is true once
// everything published has arrived.
func (r *run) tick(now int64) (finished bool, err error) {
	if now > r.limit {
		return false, r.late()
	}
	switch {
	case r.phase == warming && now >= r.phaseEnd:
		r.phase, r.phaseEnd = measuring, now+int64(r.job.Measure)
		r.first, err = r.sample()
	case r.phase == measuring && now >= r.phaseEnd && r.progressed():
		r.phase = draining
		r.last, err = r.sample()
	}
	return r.phase == draining && r.ledger.open == 0 && r.allAnswered(), err
}

// progressed reports whether some message has arrived everywhere since the
// first sample: without one there is nothing to divide the time by.
func (r *run) progressed() bool { return r.published() > r.first.published }

// published is how many messages have arrived everywhere.
func (r *run) published() (n uint64) {
	for _, done := range r.ledger.done {
		n += uint64(done)
	}
	return n
}

// late explains what a job was waiting for when its limit passed.
func (r *run) late() error {
	if err := r.ledger.missing(); err != nil {
		return fmt.Errorf("limit of %v passed: %w", r.job.Limit, err)
	}
	if !r.allAnswered() {
		return fmt.Errorf("limit of %v passed: publish requests unanswered", r.job.Limit)
	}
	return fmt.Errorf("limit of %v passed", r.job.Limit)
}

func (r *run) allAnswered() bool {
	for p := range r.answered {
		if r.unanswered(p) > 0 {
			return false
		}
	}
	return true
}

// unanswered is 0 for a wire on which publishes have no answer.
func (r *run) unanswered(pub int) int {
	if r.target.Answer == "" {
		return 0
	}
	return int(r.ledger.sent[pub] - r.answered[pub])
}

// may is how many messages a publisher may send now.
func (r *run) may(pub int, now int64) int {
	if r.phase == draining {
		return 0
	}
	n := min(r.job.Window-r.ledger.open, r.job.Depth-r.unanswered(pub))
	if r.job.Rate > 0 {
		due := int(float64(now-r.paceFrom)/float64(r.interval())) + 1
		n = min(n, due-int(r.ledger.sent[pub]))
	}
	return max(n, 0)
}

// interval is the time between two paced messages in nanoseconds.
func (r *run) interval() int64 { return int64(1e9 / r.job.Rate) }

// fill appends n publish requests of a publisher.
func (r *run) fill(dst []byte, pub, n int, now int64) []byte {
	head := r.heads[pub%len(r.heads)]
	for range n {
		seq := r.ledger.send(pub)
		at := now
		if r.job.Rate > 0 {
			at = r.paceFrom + int64(seq)*r.interval()
		}
		start := len(dst) + r.plain
		dst = append(dst, head...)
		dst = appendPayload(dst, r.job.Payload, record{pub: pub, seq: seq, at: at})
		if r.maskBlock != nil {
			mask(dst[start:], r.maskBlock)
		}
	}
	return dst
}

// response takes what a publisher's connection received.
func (r *run) response(pub int, p []byte) error {
	if r.target.Answer == "" {
		return fmt.Errorf("publishes have no answer, received %x", clip(p))
	}
	n, err := r.answers[pub].count(p, []byte(r.target.Answer))
	if err != nil {
		return err
	}
	r.answered[pub] += uint32(n)
	if r.answered[pub] > r.ledger.sent[pub] {
		return errors.New("more publish answers than requests")
	}
	r.ledger.answered(pub, r.answered[pub])
	return nil
}

// result is what happened between the first and the last sample.
func (r *run) result() Result {
	h := &r.ledger.latency
	return Result{
		Wall:   time.Duration(r.last.at - r.first.at),
		Server: r.last.server - r.first.server, Load: r.last.generator - r.first.generator,
		Cores:     r.last.cores - r.first.cores,
		Delivered: r.last.delivered - r.first.delivered,
		Published: r.last.published - r.first.published,
		Opened:    r.last.opened - r.first.opened,
		P50:       h.quantile(0.50), P99: h.quantile(0.99), Max: h.quantile(1),
	}
}
