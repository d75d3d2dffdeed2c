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

	arrived  chan gripArrival // from the readers
	counts   map[int]int      // by message: how many have it
	complete int              // everybody has every message from the first measured one up to here
	sent     int
}

// gripArrival is a message that a connection received, or why it ended.
type gripArrival struct {
	seq int
	err error
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

// openAll opens the connections, 64 at once, each with a goroutine that reads
// it until the connection is closed.
func (r *gripRun) openAll(kind gripKind, done chan struct{}, readers *sync.WaitGroup) (open []gripReader, err error) {
	type opened struct {
		gripReader
		err error
	}
	results, turn := make(chan opened), make(chan struct{}, 64)
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

// read tells of each message; of one that is not the next it tells as a failure.
func (r *gripRun) read(c gripReader, done chan struct{}) {
	last := 0
	for {
		seq, err := c.next()
		if err == nil && last != 0 && seq != last+1 {
			err = fmt.Errorf("message %d follows %d", seq, last)
		}
		last = seq
		select {
		case r.arrived <- gripArrival{seq, err}:
		case <-done:
			return
		}
		if err != nil {
			return
		}
	}
}

// awaitEverybody publishes until a message has reached everybody: nothing
// announces that a WebSocket is subscribed.
func (r *gripRun) awaitEverybody(ctx context.Context) error {
	r.counts = make(map[int]int)
	again := time.NewTicker(gripProbe)
	defer again.Stop()
	late := time.After(gripPatience)
	for r.complete == 0 || r.complete < r.sent {
		select {
		case <-again.C:
			if r.complete > 0 || r.sent >= gripWindow && r.counts[r.sent-gripWindow+1] == 0 {
				continue // enough is on its way
			}
			r.sent++
			if err := r.publish(ctx, r.sent); err != nil {
				return err
			}
		case a := <-r.arrived:
			if a.err != nil {
				return a.err
			}
			if r.count(a.seq); r.counts[a.seq] == r.conns {
				r.complete = a.seq
			}
		case <-late:
			return fmt.Errorf("after %v %d messages reached nobody or not everybody", gripPatience, r.sent)
		}
	}
	return nil
}

func (r *gripRun) count(seq int) { r.counts[seq]++ }

// load publishes for a while and waits for the last message.
func (r *gripRun) load(ctx context.Context) (result gripResult, err error) {
	cpu, _, err := r.server.Usage()
	if err != nil {
		return result, err
	}
	first, began := r.sent, time.Now()
	late := time.After(gripPatience)
	for time.Since(began) < gripMeasure || r.complete < r.sent {
		for r.sent-r.complete < gripWindow && time.Since(began) < gripMeasure {
			r.sent++
			if err := r.publish(ctx, r.sent); err != nil {
				return result, err
			}
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

// take waits for one arrival.
func (r *gripRun) take(late <-chan time.Time) error {
	select {
	case a := <-r.arrived:
		if a.err != nil {
			return a.err
		}
		r.count(a.seq)
		for r.counts[r.complete+1] == r.conns {
			r.complete++
			delete(r.counts, r.complete)
		}
		return nil
	case <-late:
		return fmt.Errorf("message %d reached only %d of %d within %v", r.complete+1, r.counts[r.complete+1], r.conns, gripPatience)
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
	return heldStream{conn, bufio.NewReaderSize(resp.Body, 1<<10)}, nil
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
	in := bufio.NewReaderSize(conn, 1<<10)
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
