package ui

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestRecordWritesEveryMember(t *testing.T) {
	r := Record{
		Type: RecordMessage, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("X", 3600)), Topic: new("chat"), ID: "chat:1-2",
		Transport: "sse", Event: "message", Data: []byte("<hi>"), Retained: new(false), Seq: 1, LatencyMS: new(1.5), Conn: 2,
		Text: "fine", Code: NetworkClosed,
	}
	want := `{"v":1,"type":"message","time":"2026-01-02T02:04:05.000000Z","topic":"chat","id":"chat:1-2","transport":"sse",` +
		`"event":"message","encoding":"utf8","data":"<hi>","size":4,"retained":false,"seq":1,"latency_ms":1.5,"conn":2,` +
		`"text":"fine","code":"network.closed"}` + "\n"
	if got := printed(t, nil, "", r); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestRecordOmitsTheUnknown(t *testing.T) {
	if got := printed(t, nil, "", Record{Type: RecordGap}); got != `{"v":1,"type":"gap"}`+"\n" {
		t.Errorf("got %s", got)
	}
}

func TestRecordTellsEmptyFromAbsent(t *testing.T) {
	got := printed(t, nil, "", Record{Type: RecordMessage, Topic: new(""), Data: []byte{}})
	if got != `{"v":1,"type":"message","topic":"","encoding":"utf8","data":"","size":0}`+"\n" {
		t.Errorf("got %s", got)
	}
}

func TestRecordWritesBinaryAsBase64(t *testing.T) {
	got := printed(t, nil, "", Record{Type: RecordMessage, Data: []byte{0xff, 0}})
	if !strings.Contains(got, `"encoding":"base64","data":"/wA=","size":2`) {
		t.Errorf("got %s", got)
	}
}

func FuzzRecordKeepsPayloads(f *testing.F) {
	f.Add([]byte("a\u2028b"))
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		if in == nil {
			in = []byte{}
		}
		b, err := json.Marshal(Record{Type: RecordMessage, Data: in})
		var back struct{ Encoding, Data string }
		if err != nil || json.Unmarshal(b, &back) != nil {
			t.Fatalf("%q: %v", b, err)
		}
		got := []byte(back.Data)
		if back.Encoding == "base64" {
			got, _ = base64.StdEncoding.DecodeString(back.Data)
		}
		if string(got) != string(in) {
			t.Errorf("sent %q, got %q", in, got)
		}
	})
}

func TestQueryPrintsEachResult(t *testing.T) {
	r := Record{Type: RecordMessage, Topic: new("a b"), Data: []byte("x"), Seq: 1 << 60}
	for expr, want := range map[string]string{
		".topic":                     `"a b"` + "\n",
		".seq":                       "1152921504606846976\n",
		"(.topic, .size)":            "\"a b\"\n1\n",
		"empty":                      "",
		"select(.type == \"gap\")":   "",
		"{t: .topic, missing: .nix}": `{"missing":null,"t":"a b"}` + "\n",
		"env":                        "{}\n",
	} {
		if got := printed(t, query(t, expr), "", r); got != want {
			t.Errorf("%s gives %q, want %q", expr, got, want)
		}
	}
}

func TestQueryFailures(t *testing.T) {
	if _, err := CompileQuery("]"); err == nil {
		t.Error("a wrong expression compiles")
	}
	if _, err := CompileQuery("nosuchfunction"); err == nil {
		t.Error("an unknown function compiles")
	}
	var failed *QueryError
	err := NewOutput(&strings.Builder{}, query(t, ".topic + 1"), nil).Write(t.Context(), Record{Topic: new("x")})
	if !errors.As(err, &failed) {
		t.Errorf("got %v", err)
	}
}

func TestQueryEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := query(t, "last(repeat(1))").Match(ctx, Record{}); err == nil {
		t.Error("a query without end ended")
	}
}

func TestQueryMatch(t *testing.T) {
	for expr, want := range map[string]bool{".topic == \"x\"": true, ".nix": false, "false": false, "empty": false, "0": true} {
		got, err := query(t, expr).Match(t.Context(), Record{Topic: new("x")})
		if err != nil || got != want {
			t.Errorf("%s is %v, want %v; %v", expr, got, want, err)
		}
	}
}

func TestFormatUsesJSONNames(t *testing.T) {
	r := Record{Type: RecordMessage, Topic: new("chat"), Data: []byte("hi"), Seq: 7}
	for text, want := range map[string]string{
		"{{.topic}} {{.data}} {{.seq}} {{.size}}": "chat hi 7 2\n",
		"{{.id}}|{{.latency_ms}}":                 "|\n",
		"{{upper .topic}} {{base64 .data}}":       "CHAT aGk=\n",
		"{{json .data}}":                          "\"hi\"\n",
	} {
		if got := printed(t, nil, text, r); got != want {
			t.Errorf("%s gives %q, want %q", text, got, want)
		}
	}
	if _, err := ParseFormat("{{.x"); err == nil {
		t.Error("a wrong template is taken")
	}
}

func TestOutputIsOneWritePerRecord(t *testing.T) {
	var w countWriter
	o := NewOutput(&w, query(t, ".type, .type, .type"), nil)
	if err := o.Write(t.Context(), Record{Type: RecordGap}); err != nil || w != 1 {
		t.Errorf("%d writes, %v", w, err)
	}
}

type countWriter int

func (c *countWriter) Write(p []byte) (int, error) { *c++; return len(p), nil }

func query(t *testing.T, expr string) *Query {
	t.Helper()
	q, err := CompileQuery(expr)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// printed is what an Output writes for v.
func printed(t *testing.T, q *Query, format string, v any) string {
	t.Helper()
	var b strings.Builder
	o := NewOutput(&b, q, nil)
	if format != "" {
		parsed, err := ParseFormat(format)
		if err != nil {
			t.Fatal(err)
		}
		o = NewOutput(&b, q, parsed)
	}
	if err := o.Write(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
