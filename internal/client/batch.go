package client

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// maxLag is how far a paced batch may fall behind its schedule before it gives
// the time up. Without it, a service that hung for a minute would get a
// minute's worth of messages at once.
const maxLag = time.Second

// BatchOptions say how many messages are sent; the zero value sends one after
// the other, each as soon as the one before is answered.
type BatchOptions struct {
	// Message is applied to every message.
	Message PublishOptions
	// Every is the time from the start of one message to the start of the
	// next; zero starts as soon as a request may.
	Every time.Duration
	// Parallel bounds the requests in flight; zero means 1. More than 1 gives
	// up the order of the messages, unless Dial is set. Over MQTT one connection
	// carries them in order, whatever is in flight; zero then means 512.
	Parallel int
	// Dial, if not nil, makes the one connection that carries the batch in
	// order, with up to Parallel messages awaiting their answers. It is for a
	// service on plain HTTP/1.1 that is reached without a proxy, and for
	// messages that follow each other closely: the connection is not renewed
	// if the service closes it.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Sent is the outcome of one message of a batch.
type Sent struct {
	// N counts the messages from 1 in the order they were taken.
	N int
	// Size is the payload's length in bytes.
	Size int
	Published
	// Err is nil if the service accepted the message.
	Err error
}

// Next gives the n-th message of a batch, counted from 1, or io.EOF. It
// returns when ctx ends; the body it returned stays as it is.
type Next func(ctx context.Context, n int) ([]byte, error)

// PublishAll publishes what next returns until that is io.EOF, and calls done
// with each outcome, one call at a time, in the order of the answers. It ends
// with the first error of next or of done, or the cause of ctx's end; requests
// in flight are answered first, unless it is ctx that ended, so what done was
// told is what happened. next is called from this goroutine only.
func (c *Client) PublishAll(ctx context.Context, topic pubsub.Topic, next Next, o BatchOptions, done func(Sent) error) error {
	feeding, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	b := &batch{client: c, topic: topic, options: o, done: done, stop: stop, work: make(chan job)}
	if err := b.connect(ctx, feeding.Done()); err != nil {
		return err
	}
	err := b.feed(ctx, feeding, next)
	close(b.work) // feed, the only sender, has returned
	b.workers.Wait()
	if b.failed != nil {
		return b.failed
	}
	if err == nil && b.told < b.taken {
		return context.Cause(ctx) // which ended together with the messages, so that some were dropped
	}
	return err
}

// connect makes the connection of a batch that has one of its own, which is
// used until over is closed.
func (b *batch) connect(ctx context.Context, over <-chan struct{}) error {
	switch {
	case b.options.Message.MQTT:
		if b.options.Parallel <= 0 {
			b.options.Parallel = packetsAhead
		}
		p, err := b.dialPackets(ctx, over)
		if err != nil {
			return err
		}
		b.carry(func() { p.run(ctx, b.work) })
	case b.options.Dial != nil:
		b.options.Parallel = max(b.options.Parallel, 1)
		p, err := b.dialPipeline(ctx)
		if err != nil {
			return err
		}
		b.carry(func() { p.run(ctx, b.work) })
	}
	return nil
}

// carry starts the one worker of a connection. Its queue lets the writer see
// that more is coming and join messages into one write.
func (b *batch) carry(run func()) {
	b.work = make(chan job, b.options.Parallel)
	b.running = b.options.Parallel // so that no other worker starts
	b.workers.Go(run)              // ends when PublishAll closes work; it waits
}

// batch is one run of PublishAll.
type batch struct {
	// Static after construction.
	client  *Client
	topic   pubsub.Topic
	options BatchOptions
	done    func(Sent) error
	stop    context.CancelCauseFunc
	work    chan job

	// Owned by PublishAll's goroutine.
	running int
	taken   int // messages handed to workers
	workers sync.WaitGroup

	mu     sync.Mutex // guards the following and calls of done
	failed error
	told   int // messages reported
}

type job struct {
	n    int
	body []byte
}

var errBatchOver = errors.New("the batch is over")

// feed takes messages on schedule and hands them to the workers, which work
// under ctx; feeding ends with ctx or with the first failure.
func (b *batch) feed(ctx, feeding context.Context, next Next) error {
	due := time.Now()
	for n := 1; ; n++ {
		if err := sleepUntil(feeding, due); err != nil {
			return err
		}
		body, err := next(feeding, n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := b.assign(ctx, feeding, job{n, body}); err != nil {
			return err
		}
		b.taken++
		due = due.Add(b.options.Every)
		if oldest := time.Now().Add(-maxLag); due.Before(oldest) {
			due = oldest
		}
	}
}

// assign gives a job to a waiting worker, or to a new one, or waits.
func (b *batch) assign(ctx, feeding context.Context, j job) error {
	select {
	case b.work <- j:
		return nil
	default:
	}
	if b.running < max(b.options.Parallel, 1) {
		b.running++
		b.workers.Go(func() { b.worker(ctx) }) // ends when PublishAll closes work; it waits
	}
	select {
	case b.work <- j:
		return nil
	case <-feeding.Done():
		return context.Cause(feeding)
	}
}

func (b *batch) worker(ctx context.Context) {
	for j := range b.work {
		p, err := b.client.Publish(ctx, b.topic, j.body, b.options.Message)
		b.report(Sent{N: j.n, Size: len(j.body), Published: p, Err: err})
	}
}

func (b *batch) report(s Sent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told++
	if err := b.done(s); err != nil && b.failed == nil {
		b.failed = err
		b.stop(errBatchOver)
	}
}

// sleepUntil waits for t. A time just passed costs no timer: a fast batch is
// mostly behind its schedule by less than a timer's precision.
func sleepUntil(ctx context.Context, t time.Time) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d := time.Until(t)
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
