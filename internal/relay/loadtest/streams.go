package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// streamBuffer is a stream's read buffer in bytes.
	streamBuffer = 8 << 10
	// beat is how often a job over TLS looks at the clock; a paced message is
	// late by as much.
	beat = time.Millisecond
)

// streams drives one job over TLS or HTTP/2 with a goroutine per connection.
// It is slower than load by far, so that only the server's processor time says
// something about the server.
type streams struct {
	// Static after construction.
	ctx    context.Context // ends when the job is closed
	cancel context.CancelFunc
	tls    *tls.Config
	client *http.Client   // HTTP/2 only
	wg     sync.WaitGroup // every goroutine of the job; close waits for it

	mu   sync.Mutex // guards the following
	wake *sync.Cond // something below has changed
	*run
	failed error // the first failure, which ends the job
	conns  []io.Closer
}

func newStreams(r *run) *streams {
	s := &streams{run: r}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wake = sync.NewCond(&s.mu)
	// The certificate is the harness's own, made for this run and this loopback address.
	s.tls = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	if r.target.Wire == HTTP2 {
		s.client = &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableCompression: true,
		}}
	}
	return s
}

func (s *streams) close() {
	s.cancel()
	s.mu.Lock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
	s.wake.Broadcast()
	s.mu.Unlock()
	s.wg.Wait()
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
}

// fail ends the job with its first error; what fails after close is expected.
func (s *streams) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.failed == nil && s.ctx.Err() == nil {
		s.failed = err
		s.wake.Broadcast()
	}
}

// keep has close end c; after close it does so itself.
func (s *streams) keep(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		_ = c.Close()
		return
	}
	s.conns = append(s.conns, c)
}

func (s *streams) connect() (err error) {
	if s.first, err = s.sample(); err != nil {
		return err
	}
	if err = s.openAll(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, err = s.sample()
	return err
}

// openAll opens the subscribers, at most Parallel at once.
func (s *streams) openAll() error {
	late := time.AfterFunc(s.job.Limit, func() { s.fail(fmt.Errorf("limit of %v passed while opening streams", s.job.Limit)) })
	defer late.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for begun := range s.job.Subscribers {
		for begun-s.opened >= s.job.Parallel && s.failed == nil {
			s.wake.Wait()
		}
		if s.failed != nil {
			return s.failed
		}
		s.wg.Go(func() { s.fail(s.subscribe(begun)) }) // ends when close closes its connection
	}
	for s.opened < s.job.Subscribers && s.failed == nil {
		s.wake.Wait()
	}
	return s.failed
}

// subscribe opens stream i and reads it until it ends.
func (s *streams) subscribe(i int) error {
	in := inbound{sub: i}
	body, err := s.open(i, &in)
	if err != nil {
		return fmt.Errorf("open stream %d: %w", i, err)
	}
	s.keep(body)
	buf := make([]byte, streamBuffer)
	for {
		n, err := body.Read(buf)
		if err != nil {
			return fmt.Errorf("subscriber %d: read: %w", i, err)
		}
		if err := s.received(&in, buf[:n]); err != nil {
			return fmt.Errorf("subscriber %d: %w", i, err)
		}
		if s.job.Drop && in.open {
			return body.Close()
		}
	}
}

// received takes in what a stream has read.
func (s *streams) received(in *inbound, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := in.open
	if err := in.feed(p, &s.expect, s.ledger, s.now()); err != nil {
		return err
	}
	if in.open != was {
		s.opened++
	}
	s.wake.Broadcast()
	return nil
}

// open sends the request of stream i.
func (s *streams) open(i int, in *inbound) (io.ReadCloser, error) {
	head := s.target.Subscribe[i%len(s.target.Subscribe)]
	if s.target.Wire == HTTP2 {
		return s.openHTTP2(head, in)
	}
	conn, err := s.dialTLS()
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(head); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (s *streams) dialTLS() (io.ReadWriteCloser, error) {
	return (&tls.Dialer{Config: s.tls}).DialContext(s.ctx, "tcp", s.target.Addr)
}

// openHTTP2 sends the same request head over HTTP/2. The response's head comes
// decoded, so in is given one to stand for it.
func (s *streams) openHTTP2(head []byte, in *inbound) (io.ReadCloser, error) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return nil, fmt.Errorf("read request head: %w", err)
	}
	out, err := http.NewRequestWithContext(s.ctx, req.Method, "https://"+s.target.Addr+req.RequestURI, nil)
	if err != nil {
		return nil, err
	}
	out.Header, out.Host = req.Header, req.Host
	resp, err := s.client.Do(out)
	if err != nil {
		return nil, err
	}
	if resp.ProtoMajor != 2 {
		return nil, errors.Join(fmt.Errorf("server answered with %s", resp.Proto), resp.Body.Close())
	}
	in.early = fmt.Appendf(nil, "HTTP/1.1 %d\r\n\r\n", resp.StatusCode)
	return resp.Body, nil
}

func (s *streams) traffic() error {
	if s.job.Stalled > 0 {
		return errors.New("stalled streams need a plain connection")
	}
	if err := s.openAll(); err != nil {
		return err
	}
	s.mu.Lock()
	s.begin()
	s.mu.Unlock()
	for i := range s.job.Publishers {
		if err := s.publisher(i); err != nil {
			return fmt.Errorf("open publisher %d: %w", i, err)
		}
	}
	clock := time.NewTicker(beat)
	defer clock.Stop()
	for range clock.C {
		if finished, err := s.beat(); err != nil || finished {
			return err
		}
	}
	return nil
}

func (s *streams) beat() (finished bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return false, s.failed
	}
	s.wake.Broadcast() // for a paced publisher
	return s.tick(s.now())
}

// publisher starts the two goroutines of publishing connection i; both end when
// close closes the connection.
func (s *streams) publisher(i int) error {
	conn, err := s.dialTLS()
	if err != nil {
		return err
	}
	s.keep(conn)
	s.wg.Go(func() { s.fail(s.publish(i, conn)) })
	s.wg.Go(func() { s.fail(s.collect(i, conn)) })
	return nil
}

// publish writes requests as the job allows them.
func (s *streams) publish(i int, w io.Writer) error {
	var buf []byte
	for {
		var ok bool
		if buf, ok = s.await(i, buf[:0]); !ok {
			return nil
		}
		if _, err := w.Write(buf); err != nil {
			return fmt.Errorf("publisher %d: write: %w", i, err)
		}
	}
}

// await waits until publisher i may send and appends what; ok is false when
// the job is over.
func (s *streams) await(i int, buf []byte) (_ []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.failed == nil && s.ctx.Err() == nil {
		now := s.now()
		if n := s.may(i, now); n > 0 {
			return s.fill(buf, i, n, now), true
		}
		s.wake.Wait()
	}
	return nil, false
}

// collect reads the answers to publisher i.
func (s *streams) collect(i int, r io.Reader) error {
	buf := make([]byte, streamBuffer)
	for {
		n, err := r.Read(buf)
		if err != nil {
			return fmt.Errorf("publisher %d: read: %w", i, err)
		}
		s.mu.Lock()
		err = s.response(i, buf[:n])
		s.wake.Broadcast()
		s.mu.Unlock()
		if err != nil {
			return fmt.Errorf("publisher %d: %w", i, err)
		}
	}
}
