package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// maxEarly bounds what a server may send before it is ready, in bytes.
const maxEarly = 16 << 10

var (
	errStreamEnded = errors.New("the server ended the stream")
	errChunk       = errors.New("malformed chunk")
)

// Request is the head of an HTTP/1.1 request with a body of size bytes; header
// lines are given whole, as "Authorization: Bearer …".
func Request(method, target string, size int, header ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n", method, target)
	for _, line := range header {
		b.WriteString(line + "\r\n")
	}
	if method != "GET" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", size)
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// inbound decodes one subscriber's connection: response head, chunks, records;
// or, with a broker, response head, frames, packets.
type inbound struct {
	sub      int
	early    []byte // everything received before the stream was ready
	parts    int    // what is said to a broker before open, the handshake included
	answered int    // so much of that; 1 once the response head is there
	open     bool
	chunked  bool
	chunks   chunker
	scan     scanner
	frames   frames
}

// expect is what all subscribers of a run have in common.
type expect struct {
	status  int    // of the response
	ready   []byte // what shows, behind the head, that the subscription stands
	size    int    // of a payload in bytes
	padding []byte
	mqtt    bool   // behind the head come frames that hold packets
	topic   string // of these packets
}

// feed takes the next bytes of the connection, received at time now. It does
// not keep p.
func (in *inbound) feed(p []byte, e *expect, l *ledger, now int64) error {
	if in.answered > 0 {
		return in.body(p, e, l, now)
	}
	in.early = append(in.early, p...)
	head, body, ok := bytes.Cut(in.early, []byte("\r\n\r\n"))
	if !ok || !bytes.Contains(body, e.ready) {
		return in.checkEarly()
	}
	if err := checkStatus(head, e.status); err != nil {
		return err
	}
	in.early = nil
	in.answer()
	in.chunked = bytes.Contains(bytes.ToLower(head), []byte("transfer-encoding: chunked"))
	return in.body(body, e, l, now)
}

// answer notes that a part of what the connection says is answered. A stream
// says one thing only.
func (in *inbound) answer() {
	in.answered++
	in.open = in.answered >= in.parts
}

func (in *inbound) checkEarly() error {
	if len(in.early) > maxEarly {
		return fmt.Errorf("no sign of readiness in the first %d bytes: %q", len(in.early), clip(in.early))
	}
	return nil
}

func (in *inbound) body(p []byte, e *expect, l *ledger, now int64) error {
	if e.mqtt {
		return in.packets(p, e, l, now)
	}
	if !in.chunked {
		return in.records(p, e, l, now)
	}
	for len(p) > 0 {
		data, rest, err := in.chunks.next(p)
		if err != nil {
			return err
		}
		if err := in.records(data, e, l, now); err != nil {
			return err
		}
		p = rest
	}
	return nil
}

func (in *inbound) records(p []byte, e *expect, l *ledger, now int64) error {
	for {
		r, rest, ok, err := in.scan.next(p, e.size, e.padding)
		if err != nil || !ok {
			return err
		}
		if err := l.deliver(in.sub, r, now); err != nil {
			return err
		}
		p = rest
	}
}

// checkStatus wants a status line with the given status.
func checkStatus(head []byte, want int) error {
	var minor, status int
	if _, err := fmt.Sscanf(string(clip(head)), "HTTP/1.%d %d", &minor, &status); err != nil || status != want {
		return fmt.Errorf("wanted status %d, received %q", want, clip(head))
	}
	return nil
}

// clip shortens what goes into an error message.
func clip(p []byte) []byte { return p[:min(len(p), 200)] }

// chunker removes chunked transfer coding (RFC 9112, section 7.1), ignoring
// extensions. The zero value stands before the first chunk.
type chunker struct {
	left int  // bytes of chunk data still to come
	line int  // size read so far on a size line
	some bool // the size line has begun
	ext  bool // the rest of the size line is an extension or its line end
	tail bool // the line end behind chunk data is due
}

// next returns the first stretch of chunk data in p, which may be empty, and
// what follows it. The last chunk is errStreamEnded: a held stream has none.
func (c *chunker) next(p []byte) (data, rest []byte, err error) {
	for i, b := range p {
		if c.left > 0 {
			n := min(c.left, len(p)-i)
			c.left -= n
			c.tail = c.left == 0
			return p[i : i+n], p[i+n:], nil
		}
		if err := c.step(b); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, nil
}

// step takes one byte of framing.
func (c *chunker) step(b byte) error {
	switch {
	case c.tail:
		c.tail = b != '\n'
		if b != '\r' && b != '\n' {
			return errChunk
		}
	case b == '\n':
		return c.endLine()
	case c.ext || b == '\r' || b == ';' || b == ' ' || b == '\t':
		c.ext = true
	case !isHex(b) || c.line > 1<<24:
		return errChunk
	default:
		c.line, c.some = c.line<<4|int(nibble(b)), true
	}
	return nil
}

func (c *chunker) endLine() error {
	if !c.some {
		return errChunk
	}
	if c.line == 0 {
		return errStreamEnded
	}
	*c = chunker{left: c.line}
	return nil
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

// answers counts a publisher's responses by the text each begins with.
type answers struct {
	buf []byte // between calls: an incomplete beginning, shorter than the text
}

// count returns how many answers begin in p, given what came before. A status
// line other than the wanted one is an error.
func (a *answers) count(p, want []byte) (n int, err error) {
	a.buf = append(a.buf, p...)
	left := a.buf
	for {
		i := bytes.Index(left, want)
		if i < 0 {
			break
		}
		left, n = left[i+len(want):], n+1
	}
	if i := bytes.Index(left, []byte("HTTP/1.")); i >= 0 && len(left)-i >= len(want) {
		return n, fmt.Errorf("publish answered %q", clip(left[i:]))
	}
	keep := min(len(left), len(want)-1)
	a.buf = append(a.buf[:0], left[len(left)-keep:]...)
	return n, nil
}
