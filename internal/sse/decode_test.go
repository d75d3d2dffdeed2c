package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

const roomy = 64 << 10

// readAll reads a stream to its end and writes each event on a line.
func readAll(src io.Reader, limit int) ([]string, error) {
	var got []string
	for r := NewReader(src, limit); ; {
		e, err := r.Next()
		if err != nil {
			return got, err
		}
		text := fmt.Sprintf("%s %q", e.Name, e.Data)
		if e.ID != "" || e.HasID {
			text += fmt.Sprintf(" id=%q,%t", e.ID, e.HasID)
		}
		if e.Retry != 0 {
			text += " retry=" + e.Retry.String()
		}
		got = append(got, text)
	}
}

// pieces are the ways a stream may arrive in.
func pieces(stream string) map[string]io.Reader {
	return map[string]io.Reader{
		"whole":           strings.NewReader(stream),
		"byte by byte":    iotest.OneByteReader(strings.NewReader(stream)),
		"halves":          iotest.HalfReader(strings.NewReader(stream)),
		"error with data": iotest.DataErrReader(strings.NewReader(stream)),
	}
}

func TestReader(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		want         []string
		err          error
	}{
		{"empty stream", "", nil, io.EOF},
		{"one event", "event: message\ndata: hello\n\n", []string{`message "hello"`}, io.EOF},
		{"name defaults", "data: x\n\n", []string{`message "x"`}, io.EOF},
		{"other name", "event: tick\ndata: x\n\n", []string{`tick "x"`}, io.EOF},
		{"last name wins", "event: a\nevent: b\ndata: x\n\n", []string{`b "x"`}, io.EOF},
		{"name does not stay", "event: a\ndata: x\n\ndata: y\n\n", []string{`a "x"`, `message "y"`}, io.EOF},
		{"data lines are joined", "data: a\ndata: b\n\n", []string{`message "a\nb"`}, io.EOF},
		{"empty data is an event", OpenEvent, []string{`stream-open ""`}, io.EOF},
		{"two empty data lines", "data\ndata:\n\n", []string{`message "\n"`}, io.EOF},
		{"no data is no event", "event: a\nid: 1\n\n\n\ndata: x\n\n", []string{`message "x" id="1",false`}, io.EOF},
		{"CRLF", "event: a\r\ndata: x\r\n\r\ndata: y\r\n\r\n", []string{`a "x"`, `message "y"`}, io.EOF},
		{"CR", "event: a\rdata: x\r\rdata: y\r\r", []string{`a "x"`, `message "y"`}, io.EOF},
		{"mixed line ends", "data: x\r\n\rdata: y\n\r\ndata: z\r\r\n", []string{`message "x"`, `message "y"`, `message "z"`}, io.EOF},
		{"LF CR are two ends", "data: x\n\rdata: y\n\n", []string{`message "x"`, `message "y"`}, io.EOF},
		{"byte order mark", "\uFEFFdata: x\n\n", []string{`message "x"`}, io.EOF},
		{"only one byte order mark", "\uFEFF\uFEFFdata: x\n\ndata: y\n\n", []string{`message "y"`}, io.EOF},
		{"byte order mark later", "data: x\n\n\uFEFFdata: y\ndata: z\n\n", []string{`message "x"`, `message "z"`}, io.EOF},
		{"comments", ": c\ndata: x\n:\n:data: y\n\n", []string{`message "x"`}, io.EOF},
		{"unknown fields", "foo: 1\ndata: x\nDATA: y\n data: z\nbar\n\n", []string{`message "x"`}, io.EOF},
		{"one space is dropped", "data:  x \ndata:y\n\n", []string{`message " x \ny"`}, io.EOF},
		{"colons in the value", "data: a: b:c\n\n", []string{`message "a: b:c"`}, io.EOF},
		{"id", "id: a: 1-1\ndata: x\n\ndata: y\n\n", []string{`message "x" id="a: 1-1",true`, `message "y" id="a: 1-1",false`}, io.EOF},
		{"id with NUL", "id: 1\ndata: x\n\nid: 2\x00\ndata: y\n\n", []string{`message "x" id="1",true`, `message "y" id="1",false`}, io.EOF},
		{"id is taken back", "id: 1\ndata: x\n\nid\ndata: y\n\n", []string{`message "x" id="1",true`, `message "y" id="",true`}, io.EOF},
		{"retry", "retry: 1500\ndata: x\n\ndata: y\n\n", []string{`message "x" retry=1.5s`, `message "y"`}, io.EOF},
		{"retry alone", "retry: 10\n\ndata: x\n\n", []string{`message "x" retry=10ms`}, io.EOF},
		{"retry that is no number", "retry: 1s\nretry: -1\nretry\ndata: x\n\n", []string{`message "x"`}, io.EOF},
		{"retry beyond measure", "retry: 99999999999999999999\ndata: x\n\n", []string{`message "x" retry=2562047h47m16.854s`}, io.EOF},
		{"bytes stay bytes", "data: \xff\x00\n\n", []string{`message "\xff\x00"`}, io.EOF},
		{"forged lines read as they stand", "event: message\ndata: a\rb\n\n", []string{`message "a"`}, io.EOF},
		{"end within an event", "data: x\n", nil, io.ErrUnexpectedEOF},
		{"end within a line", "data: x\n\ndata", []string{`message "x"`}, io.ErrUnexpectedEOF},
		{"end behind a comment", "data: x\n\n: bye\n", []string{`message "x"`}, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, src := range pieces(c.stream) {
				got, err := readAll(src, roomy)
				if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
					t.Errorf("%s: got %q, %v; want %q, %v", how, got, err, c.want, c.err)
				}
			}
		})
	}
}

func TestReaderLimit(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		limit        int
		events       int
		tooLarge     bool
	}{
		{"a line that just fits", "data: 1234\n\n", 10, 1, false},
		{"a line too long", "data: 12345\n\n", 10, 0, true},
		{"a line too long without an end", "data: 12345", 10, 0, true},
		{"lines that just fit", "data: 1\ndata: 2\n\n", 8, 1, false},
		{"lines too long together", "data: 1\ndata: 23\n\n", 8, 0, true},
		{"the name counts", "event: 1\ndata: 23\n\n", 8, 0, true},
		{"events do not add up", strings.Repeat("data: 1234\n\n", 9), 10, 9, false},
		{"comments do not add up", strings.Repeat(": 12345678\n", 9), 10, 0, false},
		{"a comment too long", ": 123456789\n", 10, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, src := range pieces(c.stream) {
				got, err := readAll(src, c.limit)
				tooLarge, ok := errors.AsType[*TooLargeError](err)
				if len(got) != c.events || ok != c.tooLarge {
					t.Errorf("%s: %d events, %v", how, len(got), err)
				}
				if ok && tooLarge.Limit != c.limit {
					t.Errorf("%s: limit %d", how, tooLarge.Limit)
				}
			}
		})
	}
}

// An event must not wait for the byte behind its empty line: with CR as line
// end that byte may be a minute away.
func TestReaderDoesNotReadAhead(t *testing.T) {
	for _, stream := range []string{"data: x\n\n", "data: x\r\r", "data: x\r\n\r"} {
		src := io.MultiReader(strings.NewReader(stream), iotest.ErrReader(errors.New("read too far")))
		if e, err := NewReader(src, roomy).Next(); err != nil || string(e.Data) != "x" {
			t.Errorf("%q: %q, %v", stream, e.Data, err)
		}
	}
}

func TestReaderReportsBytes(t *testing.T) {
	const stream = ": still here\ndata: x\n\n: and here\n"
	r, total, calls := NewReader(iotest.OneByteReader(strings.NewReader(stream)), roomy), 0, 0
	r.Received = func(n int) { total += n; calls++ }
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if want := len(": still here\ndata: x\n\n"); total != want || calls != want {
		t.Errorf("%d bytes in %d calls before the first event, want %d", total, calls, want)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) || total != len(stream) {
		t.Errorf("%d bytes at the end (%v), want %d", total, err, len(stream))
	}
}

func TestReaderKeepsTheLastID(t *testing.T) {
	r := NewReader(strings.NewReader("id: 1\ndata: x\n\nid: 2\n\nid: 3\ndata: lost"), roomy)
	if _, err := r.Next(); err != nil || r.LastEventID() != "1" {
		t.Errorf("after the first event: %q, %v", r.LastEventID(), err)
	}
	if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) || r.LastEventID() != "2" {
		t.Errorf("at the end: %q, %v; an unfinished event must not count", r.LastEventID(), err)
	}
}

func TestReaderPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	r := NewReader(io.MultiReader(strings.NewReader("data: x\n\ndata: y"), iotest.ErrReader(broken)), roomy)
	if _, err := r.Next(); err != nil {
		t.Errorf("the event before the error: %v", err)
	}
	if _, err := r.Next(); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

func TestReaderGivesUpOnASilentReader(t *testing.T) {
	if _, err := NewReader(silent{}, roomy).Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

func TestDecodeMessage(t *testing.T) {
	for _, c := range []struct {
		name  string
		event Event
		want  string
		err   bool
	}{
		{"text", Event{Name: "message", Data: []byte("hi")}, "hi", false},
		{"base64", Event{Name: "message-base64", Data: []byte("/wA=")}, "\xff\x00", false},
		{"base64 without padding", Event{Name: "message-base64", Data: []byte("/wA")}, "", true},
		{"other event", Event{Name: "keep-alive"}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := DecodeMessage(c.event); string(got) != c.want || (err != nil) != c.err {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if _, err := DecodeMessage(Event{Name: StreamOpen}); !errors.Is(err, ErrNotMessage) {
		t.Errorf("stream-open gives %v", err)
	}
}

func TestReadingAllocatesLittle(t *testing.T) {
	const runs = 100
	stream := strings.Repeat("event: message\nid: a:1-1\ndata: hello\n\n", runs+2)
	r := NewReader(strings.NewReader(stream), roomy)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(runs, func() {
		if _, err := r.Next(); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for each event", n)
	}
}

// The events must be the same however the stream is cut, and each limit must
// fall at the same place.
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		OpenEvent + KeepAliveEvent, "\uFEFFid: 1\rdata: a\r\ndata\n\r\n", ": c\nretry: 5\nevent: x\ndata: \x00\xff\n\n",
		"data: a\r\r\ndata: b\r", "id: \x00\n\n", "data: 0123456789\ndata: 0123456789\n\n",
	} {
		f.Add([]byte(s), uint8(3), uint8(20))
	}
	f.Fuzz(func(t *testing.T, stream []byte, cut, limit uint8) {
		whole, wholeErr := readAll(bytes.NewReader(stream), int(limit))
		parts, partsErr := readAll(&chunked{stream, int(cut) + 1}, int(limit))
		if !slices.Equal(whole, parts) || fmt.Sprint(wholeErr) != fmt.Sprint(partsErr) {
			t.Errorf("whole: %q, %v; in pieces of %d: %q, %v", whole, wholeErr, int(cut)+1, parts, partsErr)
		}
	})
}

// chunked gives out at most size bytes at a time.
type chunked struct {
	rest []byte
	size int
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest[:min(c.size, len(c.rest))])
	c.rest = c.rest[n:]
	return n, nil
}

// A payload comes back as it went in. The exception: a carriage return in
// text, which the app lets through to be read as a line end (Quirk Q35).
func FuzzMessage(f *testing.F) {
	f.Add([]byte("a\nb\n"), "a:1-1")
	f.Add([]byte("\xff\x00\r"), "")
	f.Add([]byte("\uFEFF: x"), "a: 1-1,b:2-2")
	f.Fuzz(func(t *testing.T, payload []byte, id string) {
		stream := AppendMessage([]byte(OpenEvent), payload, []byte(id))
		if strings.ContainsAny(id, "\r\n\x00") || bytes.IndexByte(payload, '\r') >= 0 && bytes.Contains(stream, []byte("event: message\n")) {
			t.Skip()
		}
		r := NewReader(bytes.NewReader(stream), len(stream)+1)
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		e, err := r.Next()
		if err != nil || e.ID != id || e.HasID != (id != "") {
			t.Fatalf("event %+v, %v of %q", e, err, stream)
		}
		if got, err := DecodeMessage(e); err != nil || !bytes.Equal(got, payload) {
			t.Errorf("wrote %q, read %q, %v", payload, got, err)
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("behind the event: %v", err)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	event := AppendMessage(nil, bytes.Repeat([]byte("x"), 200), []byte("a:1-1"))
	block := bytes.Repeat(event, 64)
	r := NewReader(endless{block}, roomy)
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

// endless repeats whole events for ever.
type endless struct{ block []byte }

func (e endless) Read(p []byte) (int, error) {
	if len(p) < len(e.block) {
		p = p[:len(p)/(len(e.block)/64)*(len(e.block)/64)]
	}
	return copy(p, e.block), nil
}
