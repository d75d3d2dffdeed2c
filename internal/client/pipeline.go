package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/pubsub"
)

// pipeline publishes over one plain HTTP/1.1 connection without waiting for
// the answers before, and so several times faster than request by request;
// the server takes the messages in the order sent. It is for batches whose
// messages are made, not waited for: an idle connection is not renewed.
type pipeline struct {
	// Static after construction.
	client *Client
	topic  pubsub.Topic
	query  string
	conn   net.Conn
	report func(Sent)

	sent chan flight // writer to reader, in the order of the connection

	// Owned by the writer.
	out   *bufio.Writer
	token string
	head  []byte // request line and headers, made with token

	// Owned by the reader.
	in     *bufio.Reader
	broken error // why nothing more can be read
}

// flight is a message that was written.
type flight struct {
	n, size int
	began   time.Time
}

// dialPipeline connects to the client's plain HTTP service.
func (b *batch) dialPipeline(ctx context.Context) (*pipeline, error) {
	query, err := publishQuery(b.topic, b.options.Message)
	if err != nil {
		return nil, err
	}
	r, err := b.client.request(ctx, opPublish, http.MethodPost, "/events", query, nil)
	if err != nil {
		return nil, err
	}
	addr := r.URL.Host
	if r.URL.Port() == "" {
		addr = net.JoinHostPort(r.URL.Hostname(), "80")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.client.timeout(), errTimeout)
	defer cancel()
	conn, err := b.options.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, broken(ctx, opPublish, err)
	}
	return &pipeline{
		client: b.client, topic: b.topic, query: query, conn: conn, report: b.report,
		sent: make(chan flight, b.options.Parallel),
		out:  bufio.NewWriterSize(conn, 64<<10), in: bufio.NewReaderSize(conn, 64<<10),
	}, nil
}

// run carries the jobs of work until it is closed, and returns once all are
// answered or have failed.
func (p *pipeline) run(ctx context.Context, work <-chan job) {
	var reader sync.WaitGroup
	reader.Go(func() { p.readAll(ctx) }) // ends when sent is closed, below
	stop := context.AfterFunc(ctx, func() { p.conn.Close() })
	for j := range work {
		if err := p.write(ctx, j); err != nil {
			p.report(Sent{N: j.n, Size: len(j.body), Err: err})
			continue
		}
		if len(work) == 0 {
			_ = p.out.Flush() // a failure shows in the reader, which has the deadline
		}
	}
	_ = p.out.Flush()
	close(p.sent)
	reader.Wait()
	stop()
	p.conn.Close()
}

// write appends one request and hands its flight to the reader.
func (p *pipeline) write(ctx context.Context, j job) error {
	if len(j.body) > pubsub.MaxPayload {
		return tooLarge(len(j.body))
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	p.out.Write(p.head)
	p.out.Write(strconv.AppendInt(p.out.AvailableBuffer(), int64(len(j.body)), 10))
	p.out.WriteString("\r\n\r\n")
	p.out.Write(j.body) // the writer keeps its first error; Flush meets it, the reader reports it
	f := flight{j.n, len(j.body), time.Now()}
	select {
	case p.sent <- f:
	default:
		_ = p.out.Flush() // the answers that make room may be to what is still here
		p.sent <- f
	}
	return nil
}

// prepare renders the head of a request when the token is new.
func (p *pipeline) prepare(ctx context.Context) error {
	token := ""
	if p.client.Token != nil {
		var err error
		if token, err = p.client.Token(ctx); err != nil {
			return fmt.Errorf("get token: %w", err)
		}
	}
	if p.head != nil && token == p.token {
		return nil
	}
	r, err := p.client.request(ctx, opPublish, http.MethodPost, "/events", p.query, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\n", r.URL.RequestURI(), r.URL.Host)
	if err := r.Header.Write(&b); err != nil {
		return fmt.Errorf("write headers: %w", err)
	}
	b.WriteString("Content-Length: ")
	p.head, p.token = b.Bytes(), token
	return nil
}

// readAll takes the answers in order. Once the connection is of no more use,
// every message still on it gets the same error.
func (p *pipeline) readAll(ctx context.Context) {
	for f := range p.sent {
		err := p.broken
		if err == nil {
			err = p.readOne(ctx)
		}
		p.report(Sent{N: f.n, Size: f.size, Published: Published{Took: time.Since(f.began)}, Err: err})
	}
}

func (p *pipeline) readOne(ctx context.Context) error {
	if p.in.Buffered() == 0 {
		_ = p.conn.SetReadDeadline(time.Now().Add(p.client.timeout()))
	}
	resp, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return p.breakOff(ctx, err)
	}
	defer resp.Body.Close()
	verdict := published(ctx, resp)
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		verdict = p.breakOff(ctx, err)
	}
	if resp.Close && p.broken == nil {
		_ = p.breakOff(ctx, io.EOF)
	}
	return verdict
}

func (p *pipeline) breakOff(ctx context.Context, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	p.broken = broken(ctx, opPublish, err)
	p.conn.Close() // frees a writer that waits for room on the connection
	return p.broken
}
