package fanout

import (
	"bytes"
	"io"
	"testing"

	"github.com/gobwas/ws"
)

// These benchmarks are why the engine reads frame headers itself and shares one
// ready frame, and leaves the rest of RFC 6455 to the library.

// BenchmarkFrameHeader reads the header of a client's frame: ours from bytes that
// are there, the library's from a reader, which it makes room for each time.
func BenchmarkFrameHeader(b *testing.B) {
	in := ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewBinaryFrame(make([]byte, 200))))
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if h, n, err := parseFrameHeader(in); err != nil || n == 0 || h.Length != 200 {
				b.Fatal(h, n, err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		r := new(bytes.Reader)
		for b.Loop() {
			r.Reset(in)
			if h, err := ws.ReadHeader(r); err != nil || h.Length != 200 {
				b.Fatal(h, err)
			}
		}
	})
}

// countingSink is a connection that costs nothing and is told apart from others.
type countingSink struct{ writes, bytes int }

func (s *countingSink) Write(p []byte) (int, error) {
	s.writes++
	s.bytes += len(p)
	return len(p), nil
}

// BenchmarkFrameFanOut frames one message for 1,000 connections. Besides the time
// mind the writes: on a socket each is a system call.
func BenchmarkFrameFanOut(b *testing.B) {
	content, frame := make([]byte, 200), ws.NewBinaryFrame(make([]byte, 200))
	each := func(write func(w io.Writer) error) func(*testing.B) {
		return func(b *testing.B) { fanOut(b, write) }
	}
	b.Run("shared", func(b *testing.B) {
		var ready []byte // made once a message, by the first connection
		first := 0
		fanOut(b, func(w io.Writer) error {
			if first%sinkCount == 0 {
				ready = appendFrame(make([]byte, 0, len(content)+10), ws.OpBinary, content)
			}
			first++
			_, err := w.Write(ready)
			return err
		})
	})
	b.Run("library", each(func(w io.Writer) error { return ws.WriteFrame(w, frame) }))
	b.Run("library-compiled", each(func(w io.Writer) error {
		p, err := ws.CompileFrame(frame)
		if err != nil {
			return err
		}
		_, err = w.Write(p)
		return err
	}))
}

// sinkCount is the connections of a fan-out.
const sinkCount = 1000

func fanOut(b *testing.B, write func(io.Writer) error) {
	sinks := make([]countingSink, sinkCount)
	b.ReportAllocs()
	for b.Loop() {
		for i := range sinks {
			if err := write(&sinks[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	deliveries := float64(b.N * sinkCount)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/deliveries, "ns/delivery")
	b.ReportMetric(float64(sinks[0].writes)/float64(b.N), "writes/delivery")
	if sinks[0].bytes != b.N*204 {
		b.Errorf("%d bytes for %d messages, want 204 each", sinks[0].bytes, b.N)
	}
}
