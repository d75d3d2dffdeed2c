package sse

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestMessageBytes has the table of the pubsub-app contract's section 4.5 and
// conformance items 50 and 51.
func TestMessageBytes(t *testing.T) {
	for _, c := range []struct{ name, data, id, want string }{
		{"plain", "hello", "", "event: message\ndata: hello\n\n"},
		{"two lines", "a\nb", "", "event: message\ndata: a\ndata: b\n\n"},
		{"line feed at the end", "a\n", "", "event: message\ndata: a\ndata: \n\n"},
		{"empty", "", "", "event: message\ndata: \n\n"},
		{"only a line feed", "\n", "", "event: message\ndata: \ndata: \n\n"},
		{"CRLF", "a\r\nb", "", "event: message\ndata: a\r\ndata: b\n\n"},
		{"CR goes out as it is", "a\rb", "", "event: message\ndata: a\rb\n\n"},
		{"NUL goes out as it is", "a\x00b", "", "event: message\ndata: a\x00b\n\n"},
		{"outside ASCII", "é\n€", "", "event: message\ndata: é\ndata: €\n\n"},
		{"not UTF-8", "\xff\x00", "", "event: message-base64\ndata: /wA=\n\n"},
		{"not UTF-8 on one line only", "a\n\xff", "", "event: message-base64\ndata: YQr/\n\n"},
		{"stored", "one", "a:d06fe8f6d007c421-8", "event: message\nid: a:d06fe8f6d007c421-8\ndata: one\n\n"},
		{"stored, two lines", "a\nb", "t: 1-1", "event: message\nid: t: 1-1\ndata: a\ndata: b\n\n"},
		{"stored, not UTF-8", "\xff", "a:1-1", "event: message-base64\nid: a:1-1\ndata: /w==\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := AppendMessage([]byte("before|"), []byte(c.data), []byte(c.id)); string(got) != "before|"+c.want {
				t.Errorf("got %q, want %q", got, "before|"+c.want)
			}
		})
	}
}

func TestNamedEvents(t *testing.T) {
	for _, c := range []struct{ name, got, want string }{
		{"stream open", OpenEvent, "event: stream-open\ndata: \n\n"},
		{"keep-alive", KeepAliveEvent, "event: keep-alive\ndata: \n\n"},
		{"the constants are what AppendEvent writes", OpenEvent, string(AppendEvent(nil, StreamOpen, nil))},
		{"any name", string(AppendEvent(nil, "tick", []byte("1\n2"))), "event: tick\ndata: 1\ndata: 2\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("got %q, want %q", c.got, c.want)
			}
		})
	}
}

func TestStreamError(t *testing.T) {
	got := string(AppendStreamError(nil, "bad-request", "Last-Event-ID part missing ':'\n"))
	const want = "event: stream-error\ndata: {\"condition\":\"bad-request\",\"text\":\"Last-Event-ID part missing ':'\\n\"}\n\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The app's JSON writer has short escapes for five controls.
func TestStreamErrorEscapes(t *testing.T) {
	got := string(AppendStreamError(nil, "forbidden", "\x00\b\t\n\v\f\r\x1f"))
	if want := `"text":"\u0000\b\t\n\u000b\f\r\u001f"}`; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}

func TestStreamErrorTextSurvives(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"quotes and backslashes", `a"b\c`, `a"b\c`},
		{"every control", "\x00\x01\b\t\n\f\r\x1f\x7f", "\x00\x01\b\t\n\f\r\x1f\x7f"},
		{"outside ASCII", "é€😀\u2028", "é€😀\u2028"},
		{"markup", "<&>", "<&>"},
		{"not UTF-8", "a\xff", "a\uFFFD"},
	} {
		t.Run(c.name, func(t *testing.T) {
			event := string(AppendStreamError(nil, "forbidden", c.text))
			data := strings.TrimSuffix(strings.TrimPrefix(event, "event: stream-error\ndata: "), "\n\n")
			var got struct{ Condition, Text string }
			if err := json.Unmarshal([]byte(data), &got); err != nil || got.Text != c.want || got.Condition != "forbidden" {
				t.Errorf("%q reads as %+v, %v", data, got, err)
			}
			if strings.ContainsAny(data, "\r\n") {
				t.Errorf("%q holds a line end", data)
			}
		})
	}
}

func TestEncodersAllocateNothing(t *testing.T) {
	text, binary, id := []byte("line\nline\n"), []byte("\xff\xfe\x00"), []byte("a:1-1")
	dst := make([]byte, 0, 512)
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"text", func() { dst = AppendMessage(dst[:0], text, id) }},
		{"binary", func() { dst = AppendMessage(dst[:0], binary, id) }},
		{"error", func() { dst = AppendStreamError(dst[:0], "forbidden", "Invalid token\n") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, c.run); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"200B", bytes.Repeat([]byte("x"), 200)},
		{"32KiB", bytes.Repeat([]byte("x"), 32512)},
		{"32KiB-lines", bytes.Repeat([]byte("xxxxxxxxxxxxxxx\n"), 2032)},
		{"32KiB-binary", bytes.Repeat([]byte("\xff"), 32512)},
	} {
		b.Run(c.name, func(b *testing.B) {
			dst := make([]byte, 0, 128<<10)
			b.SetBytes(int64(len(c.data)))
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendMessage(dst[:0], c.data, nil)
			}
		})
	}
}
