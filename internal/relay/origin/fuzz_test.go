package origin

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/pubsubctl/pubsubctl/internal/grip"
	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// FuzzRoutes: no file makes the reader or the table fail, each line is a route, a
// fault or neither, and what a route does to a path is a path.
func FuzzRoutes(f *testing.F) {
	for _, s := range []string{
		"* localhost:8000,over_http\n", "id=self localhost:7676,over_http,host=localhost:7676", `a,"b\"=c",path_rem=3 [::1]:1 # x`,
		"a,sig_key=secret x", "*,path_beg=/a,replace_beg=/b h:1,sub=,ssl=no test",
	} {
		f.Add([]byte(s), "/a/b")
	}
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		routes, faults := ParseRoutes(text)
		if n := strings.Count(string(text), "\n") + 1; len(routes)+len(faults) > n {
			t.Errorf("%d routes and %d faults in %d lines", len(routes), len(faults), n)
		}
		var all []*backend
		for _, r := range routes {
			if len(r.targets) == 0 || r.Domain == "" && r.ID == "" {
				t.Errorf("route without targets or condition: %+v", r)
			}
			if got := r.rewrite(path); !strings.HasPrefix(got, "/") {
				t.Errorf("%q became %q", path, got)
			}
			all = append(all, &backend{route: r})
		}
		table := newTable(all, slog.New(slog.DiscardHandler))
		for _, r := range routes {
			table.find(asked{host: r.Domain, path: path})
			if b := table.find(asked{id: r.ID, byID: true, path: r.pathBeg}); b != nil && b.route.ID != r.ID {
				t.Errorf("found %q for %q", b.route.ID, r.ID)
			}
		}
	})
}

// FuzzEventsResponse: no answer to events makes the bridge fail, or accept more
// than was sent; a useless one is an error, and what is left over is the end of
// what was sent.
func FuzzEventsResponse(f *testing.F) {
	f.Add("OPEN\r\nTEXT 2\r\nm:\r\n", "grip", "3", "20", "x")
	f.Add("TEXT 5\r\nc:{}x\r\nCLOSE 2\r\n\x00\x00\r\n", "", "-1", "0", "")
	f.Add("PING\r\nDISCONNECT\r\nTEXT ffffffff\r\n", `grip; message-prefix=""`, "9", "9999999999", "v")
	sent := []grip.Event{{Type: grip.EventText, Content: []byte("hello")}, {Type: grip.EventBinary, Content: []byte{1, 2, 3}}}
	f.Fuzz(func(t *testing.T, body, extension, accepted, interval, meta string) {
		p := New(Options{Log: slog.New(slog.DiscardHandler)}, nil)
		b := &backend{proxy: p, route: new(Route)}
		w := &webSocketOverHTTP{session: session{backend: b, socket: new(fanout.Socket), target: new(server), header: http.Header{}}}
		a, err := w.read(&http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{
			"Content-Type": {eventsType}, "Sec-Websocket-Extensions": {extension}, "Content-Bytes-Accepted": {accepted},
			"Keep-Alive-Interval": {interval}, "Set-Meta-X": {meta},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if a.fault() != nil {
			return
		}
		w.agree(a.Header)
		w.store(a.Header)
		if got := w.header["Meta-X"]; (meta != "") != (len(got) == 1 && got[0] == meta) {
			t.Errorf("stored %q as %q", meta, got)
		}
		rest, err := a.rest(8, 0)
		if rest < 0 || rest > 8 || err != nil && rest != 0 {
			t.Errorf("%d left of 8, %v", rest, err)
		}
		left := ""
		for _, e := range tail(sent, rest) {
			left += string(e.Content)
		}
		if len(left) != rest || !strings.HasSuffix("hello\x01\x02\x03", left) {
			t.Errorf("%d left, as %q", rest, left)
		}
		c := new(script)
		w.takeAll(c, a.events)
		for n, r := 0, &c.first; r != nil; n, r = n+1, r.Then {
			if n > len(a.events) {
				t.Fatal("script is longer than the answer")
			}
		}
	})
}
