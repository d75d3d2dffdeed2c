//go:build linux

package relay_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/relay/loadtest"
)

// gripRun is one server's connections and what they have received. Its owner is
// the goroutine that measures; each connection has a goroutine that reads.
type gripRun struct {
	server     *loadtest.Server
	publishURL string
	conns      int

	counts []atomic.Int32 // by message: how many have it
	full   chan int       // messages that everybody has, from the readers
	failed chan error     // why a connection ended, from the readers

	sent     int
	known    map[int]bool // what came from full and is above complete
	complete int          // everybody has this message, and all after the first measured one up to it
}

func newGripRun(server *loadtest.Server, publishURL string, conns int) *gripRun {
	return &gripRun{
		server: server, publishURL: publishURL, conns: conns, known: make(map[int]bool),
		counts: make([]atomic.Int32, gripMessages), full: make(chan int, gripWindow), failed: make(chan error, conns),
	}
}

// gripReader is an open connection.
type gripReader interface {
	next() (seq int, err error)
	io.Closer
}

func (r *gripRun) measure(ctx context.Context, kind gripKind) (gripResult, error) {
	_, before, err := r.server.Usage()
	if err != nil {
		return gripResult{}, err
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	open, err := r.openAll(kind, done, &readers)
	defer func() {
		close(done) // before the connections, so that no reader waits to tell of its end
		for _, c := range open {
			_ = c.Close()
		}
		readers.Wait()
	}()
	if err != nil {
		return gripResult{}, err
	}
	if err := r.awaitEverybody(ctx); err != nil {
		return gripResult{}, err
	}
	_, after, err := r.server.Usage()
	if err != nil {
		return gripResult{}, err
	}
	result, err := r.load(ctx)
	result.resident = float64(after-before) / float64(r.conns)
	return result, err
}

// openAll opens the connections, a few at once, each with a goroutine that reads
// it until the connection is closed.
func (r *gripRun) openAll(kind gripKind, done chan struct{}, readers *sync.WaitGroup) (open []gripReader, err error) {
	type opened struct {
		gripReader
		err error
	}
	results, turn := make(chan opened), make(chan struct{}, gripParallel)
	for range r.conns {
		go func() { // ends once its connection is open or refused
			turn <- struct{}{}
			c, err := kind.open(r.server.Addr)
			<-turn
			results <- opened{c, err}
		}()
	}
	for range r.conns {
		o := <-results
		if o.err != nil {
			err = o.err
			continue
		}
		open = append(open, o.gripReader)
		readers.Go(func() { r.read(o.gripReader, done) })
	}
	return open, err
}

// read counts messages; one that is not the next is a failure.
func (r *gripRun) read(c gripReader, done chan struct{}) {
	for last := 0; ; {
		seq, err := c.next()
		switch {
		case err != nil:
			err = fmt.Errorf("after message %d: %w", last, err)
		case last != 0 && seq != last+1:
			err = fmt.Errorf("message %d follows %d", seq, last)
		case seq < 1 || seq >= gripMessages:
			err = fmt.Errorf("message %d was never sent", seq)
		}
		if err != nil {
			r.failed <- err
			return
		}
		last = seq
		if int(r.counts[seq].Add(1)) == r.conns {
			select {
			case r.full <- seq:
			case <-done:
				return
			}
		}
	}
}

// send publishes the next n messages in one request.
func (r *gripRun) send(ctx context.Context, n int) error {
	first := r.sent + 1
	if r.sent += n; r.sent >= gripMessages {
		return fmt.Errorf("more than %d messages", gripMessages)
	}
	return r.publish(ctx, first, r.sent)
}

// awaitEverybody publishes until a message has reached everybody: nothing
// announces that a WebSocket is subscribed.
func (r *gripRun) awaitEverybody(ctx context.Context) error {
	again := time.NewTicker(gripProbe)
	defer again.Stop()
	late := time.After(gripPatience)
	for r.complete == 0 || r.complete < r.sent {
		select {
		case <-again.C:
			if r.complete > 0 || r.sent > 2*gripWindow {
				continue // enough is on its way
			}
			if err := r.send(ctx, 1); err != nil {
				return err
			}
		case seq := <-r.full:
			r.complete = max(r.complete, seq)
		case err := <-r.failed:
			return err
		case <-late:
			return fmt.Errorf("after %v %d messages reached nobody or not everybody", gripPatience, r.sent)
		}
	}
	return nil
}

// load publishes for a while and waits for the last message.
func (r *gripRun) load(ctx context.Context) (result gripResult, err error) {
	cpu, _, err := r.server.Usage()
	if err != nil {
		return result, err
	}
	first, began := r.sent, time.Now()
	late := time.After(gripPatience)
	for time.Since(began) < gripMeasure || r.complete < r.sent {
		for r.sent-r.complete+gripBatch <= gripWindow && time.Since(began) < gripMeasure {
			if err := r.send(ctx, gripBatch); err != nil {
				return result, err
			}
			r.settle()
		}
		if err := r.take(late); err != nil {
			return result, err
		}
	}
	took := time.Since(began)
	used, _, err := r.server.Usage()
	if err != nil {
		return result, err
	}
	delivered := float64(r.sent-first) * float64(r.conns)
	result.perCore = delivered / (used - cpu).Seconds()
	result.rate = delivered / took.Seconds()
	result.busy = (used - cpu).Seconds() / took.Seconds()
	return result, nil
}

// take waits until everybody has another message.
func (r *gripRun) take(late <-chan time.Time) error {
	if r.complete == r.sent {
		return nil
	}
	select {
	case seq := <-r.full:
		r.has(seq)
		return nil
	case err := <-r.failed:
		return err
	case <-late:
		next := r.complete + 1
		return fmt.Errorf("message %d reached only %d of %d within %v", next, r.counts[next].Load(), r.conns, gripPatience)
	}
}

// settle takes what is known already.
func (r *gripRun) settle() {
	for len(r.full) > 0 {
		r.has(<-r.full)
	}
}

// has notes that everybody has a message; two readers may tell in either order.
func (r *gripRun) has(seq int) {
	r.known[seq] = true
	for r.known[r.complete+1] {
		r.complete++
		delete(r.known, r.complete)
	}
}

// gripSeq reads the number that a message begins with.
func gripSeq(text []byte) (int, error) {
	if len(text) != gripPayload {
		return 0, fmt.Errorf("message of %d bytes, not %d: %.40q", len(text), gripPayload, text)
	}
	return strconv.Atoi(string(text[:10]))
}

// heldStream is a held response, held by its client.
type heldStream struct {
	net.Conn
	body *bufio.Reader
}

func openStream(addr string) (gripReader, error) {
	conn, resp, _, err := gripAsk(addr, "")
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("stream: %s", resp.Status), conn.Close())
	}
	return heldStream{conn, bufio.NewReaderSize(resp.Body, 1<<9)}, nil
}

func (s heldStream) next() (int, error) {
	line, err := s.body.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	return gripSeq(line)
}

// heldSocket is a WebSocket, held by its client.
type heldSocket struct {
	net.Conn
	frames *bufio.Reader
}

func openSocket(addr string) (gripReader, error) {
	conn, resp, rest, err := gripAsk(addr, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, errors.Join(fmt.Errorf("websocket: %s", resp.Status), conn.Close())
	}
	return heldSocket{conn, rest}, nil
}

// next reads one frame: of this size it is always a whole message with a length of two bytes.
func (s heldSocket) next() (int, error) {
	var head [4]byte
	if _, err := io.ReadFull(s.frames, head[:]); err != nil {
		return 0, err
	}
	if head != [4]byte{0x81, 126, 0, gripPayload} {
		return 0, fmt.Errorf("frame begins with % x", head)
	}
	text, err := s.frames.Peek(gripPayload)
	if err != nil {
		return 0, err
	}
	seq, err := gripSeq(text)
	if err != nil {
		return 0, err
	}
	_, err = s.frames.Discard(gripPayload)
	return seq, err
}

// gripAsk sends a GET and reads the head of what answers it.
func gripAsk(addr, fields string) (net.Conn, *http.Response, *bufio.Reader, error) {
	conn, err := net.DialTimeout("tcp", addr, gripPatience)
	if err != nil {
		return nil, nil, nil, err
	}
	fail := func(err error) (net.Conn, *http.Response, *bufio.Reader, error) {
		return nil, nil, nil, errors.Join(err, conn.Close())
	}
	if err := conn.SetDeadline(time.Now().Add(gripPatience)); err != nil {
		return fail(err)
	}
	if _, err := io.WriteString(conn, "GET /held HTTP/1.1\r\nHost: bench.example\r\n"+fields+"\r\n"); err != nil {
		return fail(err)
	}
	in := bufio.NewReaderSize(conn, gripBuffer)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return fail(err)
	}
	return conn, resp, in, conn.SetDeadline(time.Time{})
}

func splitAddress(b *testing.B, addr string) (host, port string) {
	b.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		b.Fatal(err)
	}
	return host, port
}
