package grip

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// header reads "Name: value" lines, as the captures have them.
func header(lines ...string) http.Header {
	h := make(http.Header)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	return h
}

// The headers are those of the captures of Pushpin 1.36 and 1.41 whose numbers
// stand in front.
func TestParseInstruct(t *testing.T) {
	keepAlive := KeepAlive{Data: []byte("event: keep-alive\ndata: \n\n"), Timeout: 55 * time.Second}
	for _, tt := range []struct {
		name string
		in   http.Header
		want *Instruct
	}{
		{"a response without Grip headers has none", header("Content-Type: text/plain", "Gripe: x"), nil},
		{"an unknown Grip header is an instruction", header("Grip-Foo: x"), &Instruct{}},
		{"04 long-poll: 55 s unless given", header("Grip-Hold: response", "Grip-Channel: lp"),
			&Instruct{Hold: Response, Channels: []Channel{{Name: "lp"}}, Timeout: 55 * time.Second}},
		{"05 long-poll with a timeout", header("Grip-Hold: response", "Grip-Channel: lpt", "Grip-Timeout: 5"),
			&Instruct{Hold: Response, Channels: []Channel{{Name: "lpt"}}, Timeout: 5 * time.Second}},
		{"a short timeout is raised", header("Grip-Timeout: 0"), &Instruct{Timeout: 5 * time.Second}},
		{"09 a relative link without a hold", header("Grip-Link: <p3?x=1>; rel=next"),
			&Instruct{Next: Link{URI: "p3?x=1"}}},
		{"10 prev-id and link", header("Grip-Hold: stream", "Grip-Channel: rel; prev-id=1",
			"Grip-Link: </rel?after=1>; rel=next; timeout=60"),
			&Instruct{Hold: Stream, Channels: []Channel{{Name: "rel", PrevID: "1"}},
				Next: Link{URI: "/rel?after=1", Timeout: time.Minute}}},
		{"13 filters, two channels, two metas", header("Grip-Hold: stream",
			"Grip-Channel: fl; filter=skip-self; filter=var-subst; filter=skip-users; filter=require-sub, other",
			`Grip-Set-Meta: user="u1", color=red`),
			&Instruct{Hold: Stream, Channels: []Channel{
				{Name: "fl", Filters: []string{"skip-self", "var-subst", "skip-users", "require-sub"}}, {Name: "other"}},
				Meta: map[string]string{"user": "u1", "color": "red"}}},
		{"14 a comma inside a filter parameter starts a channel", header("Grip-Hold: stream",
			"Grip-Channel: events-room; prev-id=5; filter=build-id; filter=skip-users, user-anonymous; filter=require-sub"),
			&Instruct{Hold: Stream, Channels: []Channel{
				{Name: "events-room", PrevID: "5", Filters: []string{"build-id", "skip-users"}},
				{Name: "user-anonymous", Filters: []string{"require-sub"}}}}},
		{"46 both links", header("Grip-Link: </gnext>; rel=next; timeout=60", "Grip-Link: </bye?u=1>; rel=gone"),
			&Instruct{Next: Link{URI: "/gnext", Timeout: time.Minute}, Gone: "/bye?u=1"}},
		{"47 a padded prev-id is trimmed", header("Grip-Channel: d:hp; prev-id=    abc-1"),
			&Instruct{Channels: []Channel{{Name: "d:hp", PrevID: "abc-1"}}}},
		{"54 the app's keep-alive", header(`Grip-Keep-Alive: event: keep-alive\ndata: \n\n; format=cstring; timeout=55`),
			&Instruct{KeepAlive: keepAlive}},
		{"raw data keeps its backslashes and commas", header(`Grip-Keep-Alive: a\n,b; timeout=0; mode=interval`),
			&Instruct{KeepAlive: KeepAlive{Data: []byte(`a\n,b`), Timeout: time.Second, Interval: true}}},
		{"base64 is lenient", header("Grip-Keep-Alive: aGk-!; format=base64"),
			&Instruct{KeepAlive: KeepAlive{Data: []byte("hi"), Timeout: 55 * time.Second}}},
		{"a quoted channel is cut and not unquoted", header(`Grip-Channel: "q;uo"`),
			&Instruct{Channels: []Channel{{Name: `"q`}}}},
		{"a quoted comma does not split", header(`Grip-Channel: "a,b", c`),
			&Instruct{Channels: []Channel{{Name: `"a,b"`}, {Name: "c"}}}},
		{"parameter names are free in case, filter is not", header(`Grip-Channel: c; PREV-ID=3; Filter=x`),
			&Instruct{Channels: []Channel{{Name: "c", PrevID: "3"}}}},
		{"a channel may have no name", header("Grip-Channel: ; prev-id=1, ;, c"),
			&Instruct{Channels: []Channel{{PrevID: "1"}, {}, {Name: "c"}}}},
		{"quoted values are unquoted", header(`Grip-Channel: c; prev-id="a;\"b\\"; filter="f"`),
			&Instruct{Channels: []Channel{{Name: "c", PrevID: `a;"b\`, Filters: []string{"f"}}}}},
		{"the first pair of a meta entry counts", header(`Grip-Set-Meta: a="1"; b="2"`, "Grip-Set-Meta: c"),
			&Instruct{Meta: map[string]string{"a": "1", "c": ""}}},
		{"a status with a reason", header("Grip-Status: 404 Not Here"), &Instruct{Status: 404, Reason: "Not Here"}},
		{"a status without", header("Grip-Status: 999"), &Instruct{Status: 999}},
		{"exposed headers", header("Grip-Expose-Headers: X-A, X-B", "Grip-Expose-Headers: X-C"),
			&Instruct{Expose: []string{"X-A", "X-B", "X-C"}}},
		{"links without a known rel are ignored", header("Grip-Link: nonsense", "Grip-Link: </x>; rel=prev"), &Instruct{}},
		{"a link never refetches without pause", header("Grip-Link: </x>; rel=next; timeout=0"),
			&Instruct{Next: Link{URI: "/x", Timeout: time.Second}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseInstruct(tt.in)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

// The reasons are part of what users see in debug mode, so their text matters.
func TestParseInstructReasons(t *testing.T) {
	for _, tt := range []struct{ header, reason string }{
		{"Grip-Hold: bogus", "Grip-Hold must be set to either 'response' or 'stream'"},
		{"Grip-Hold: Stream", "Grip-Hold must be set to either 'response' or 'stream'"},
		{`Grip-Channel: c; prev-id="open`, "failed to parse Grip-Channel"},
		{"Grip-Channel: x; filter=a; filter=b; filter=c; filter=d; filter=e; filter=f", "too many filters for channel 'x'"},
		{"Grip-Timeout: soon", "failed to parse Grip-Timeout"},
		{"Grip-Timeout: 99999999999", "failed to parse Grip-Timeout"},
		{"Grip-Timeout: -1", "Grip-Timeout has invalid value"},
		{"Grip-Keep-Alive:", "Grip-Keep-Alive cannot be empty"},
		{"Grip-Keep-Alive: x; mode=never", "no such Grip-Keep-Alive mode 'never'"},
		{"Grip-Keep-Alive: x; timeout=y", "failed to parse Grip-Keep-Alive timeout value"},
		{"Grip-Keep-Alive: x; timeout=-1", "Grip-Keep-Alive timeout has invalid value"},
		{"Grip-Keep-Alive: x; format=hex", "no such Grip-Keep-Alive format 'hex'"},
		{`Grip-Keep-Alive: x\; format=cstring`, "failed to parse Grip-Keep-Alive cstring format"},
		{`Grip-Keep-Alive: x; format="raw`, "failed to parse Grip-Keep-Alive"},
		{`Grip-Set-Meta: a="1`, "failed to parse Grip-Set-Meta"},
		{"Grip-Status: OK", "Grip-Status contains invalid status code"},
		{"Grip-Status: 1000", "Grip-Status contains invalid status code"},
		{"Grip-Link: /next; rel=next", "failed to parse Grip-Link value"},
		{"Grip-Link: <>; rel=next", "failed to parse Grip-Link value"},
		{"Grip-Link: <http://[bad>; rel=next", "Grip-Link contains invalid link"},
		{"Grip-Link: </x>; rel=next; timeout=x", "failed to parse Grip-Link timeout value"},
		{"Grip-Link: </x>; rel=next; timeout=-3", "Grip-Link timeout has invalid value"},
	} {
		t.Run(tt.header, func(t *testing.T) {
			got, err := ParseInstruct(header(tt.header))
			if got != nil || !errors.Is(err, Reason(tt.reason)) {
				t.Errorf("got %+v, %v; want the reason %q", got, err, tt.reason)
			}
		})
	}
}

func TestParseInstructKeepsTwentyChannels(t *testing.T) {
	in, err := ParseInstruct(header("Grip-Channel: " + strings.Repeat("c,", 30) + "last"))
	if err != nil || len(in.Channels) != MaxChannels {
		t.Errorf("kept %d channels, %v; want %d", len(in.Channels), err, MaxChannels)
	}
	all, err := ParseChannels([]string{strings.Repeat("c,", 30)})
	if err != nil || len(all) != 30 {
		t.Errorf("read %d channels, %v; want all 30", len(all), err)
	}
}

func TestIsHeader(t *testing.T) {
	for name, want := range map[string]bool{"Grip-Hold": true, "gRIP-x": true, "Grip-": true, "Grip": false, "X-Grip-Hold": false} {
		if got := IsHeader(name); got != want {
			t.Errorf("IsHeader(%q) = %v", name, got)
		}
	}
}

func TestAppendHeader(t *testing.T) {
	in := &Instruct{
		Hold:     Stream,
		Channels: []Channel{{Name: "s:news"}, {Name: "d:news", PrevID: "1f-2", Filters: []string{"skip-self"}}},
		KeepAlive: KeepAlive{Data: []byte("event: keep-alive\ndata: \n\n"), Timeout: 55 * time.Second,
			Interval: true},
		Status: 201, Reason: "Yay",
		Meta:   map[string]string{"user": `a "b"`, "k": "v"},
		Next:   Link{URI: "/events?durable=true", Timeout: 119500 * time.Millisecond},
		Gone:   "/bye",
		Expose: []string{"X-A"},
	}
	want := header("Grip-Hold: stream", "Grip-Channel: s:news", "Grip-Channel: d:news; prev-id=1f-2; filter=skip-self",
		`Grip-Keep-Alive: event: keep-alive\ndata: \n\n; format=cstring; timeout=55; mode=interval`,
		"Grip-Status: 201 Yay", `Grip-Set-Meta: k="v", user="a \"b\""`,
		"Grip-Link: </events?durable=true>; rel=next; timeout=120", "Grip-Link: </bye>; rel=gone",
		"Grip-Expose-Headers: X-A", "Content-Type: text/plain")
	got := header("Content-Type: text/plain")
	if err := in.AppendHeader(got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestAppendHeaderEmptyInstruct(t *testing.T) {
	h := make(http.Header)
	if err := new(Instruct).AppendHeader(h); err != nil {
		t.Fatal(err)
	}
	if in, err := ParseInstruct(h); err != nil || !reflect.DeepEqual(in, new(Instruct)) {
		t.Errorf("wrote %v, which reads as %+v, %v", h, in, err)
	}
}

func TestAppendHeaderQuotes(t *testing.T) {
	for _, id := range []string{" padded ", "a;b", "a,b", `q"q`, `back\slash`, "a=b", "ünï"} {
		in := &Instruct{Channels: []Channel{{Name: "c", PrevID: id}}}
		h := make(http.Header)
		if err := in.AppendHeader(h); err != nil {
			t.Errorf("prev-id %q: %v", id, err)
		}
		if back, err := ParseInstruct(h); err != nil || !reflect.DeepEqual(back, in) {
			t.Errorf("prev-id %q came back as %+v, %v", id, back, err)
		}
	}
}

func TestAppendHeaderRefusesWhatHeadersCannotCarry(t *testing.T) {
	for name, in := range map[string]*Instruct{
		"comma in a channel":     {Channels: []Channel{{Name: "a,b"}}},
		"semicolon in a channel": {Channels: []Channel{{Name: "a;b"}}},
		"space around a channel": {Channels: []Channel{{Name: " a"}}},
		"line break":             {Channels: []Channel{{Name: "a\r\nX: y"}}},
		"line break in an id":    {Channels: []Channel{{Name: "a", PrevID: "1\n2"}}},
		"comma in a link":        {Next: Link{URI: "/a,b"}},
		"six filters":            {Channels: []Channel{{Name: "a", Filters: make([]string, 6)}}},
		"too many channels":      {Channels: make([]Channel, MaxChannels+1)},
		"status out of range":    {Status: 1000},
	} {
		h := make(http.Header)
		if err := in.AppendHeader(h); !errors.Is(err, ErrUnwritable) || len(h) != 0 {
			t.Errorf("%s: got %v and %v, want ErrUnwritable and nothing written", name, err, h)
		}
	}
}

func TestStatusReason(t *testing.T) {
	for status, want := range map[int]string{200: "OK", 404: "Not Found", 299: "Undefined Reason"} {
		if got := StatusReason(status); got != want {
			t.Errorf("StatusReason(%d) = %q, want %q", status, got, want)
		}
	}
}

// What headers say can be written as headers again. An odd quote in a name is
// the exception: it hides or shows the commas of a parameter behind it. And a
// fuzzer puts bytes into values that HTTP does not let through.
func FuzzParseInstruct(f *testing.F) {
	f.Add("stream", "a; prev-id=1; filter=x, b", "x\\n; format=cstring; timeout=2", `a="b", c`, "404 No", "</x>; rel=next; timeout=3", "X")
	f.Add("response", `"q;uo"`, "x; mode=interval", "k", "7", "</y>; rel=gone", "A, B")
	f.Fuzz(func(t *testing.T, hold, channel, keepAlive, meta, status, link, expose string) {
		h := http.Header{"Grip-Hold": {hold}, "Grip-Channel": {channel}, "Grip-Keep-Alive": {keepAlive},
			"Grip-Set-Meta": {meta}, "Grip-Status": {status}, "Grip-Link": {link}, "Grip-Expose-Headers": {expose}}
		in, err := ParseInstruct(h)
		if err != nil {
			return
		}
		if len(in.Channels) > MaxChannels || in.Timeout < 0 || in.Status > maxStatus {
			t.Errorf("out of bounds: %+v", in)
		}
		all := hold + channel + keepAlive + meta + status + link + expose
		exempt := strings.Contains(all, `"`) || !fieldSafe(all)
		// AppendHeader reads back what it wrote, so that success is proof.
		if err := in.AppendHeader(make(http.Header)); err != nil && !exempt {
			t.Errorf("cannot write %+v: wrote %v", in, in.header())
		}
	})
}
