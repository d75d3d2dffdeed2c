package origin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

func testKey(t *testing.T, text string) grip.Key {
	t.Helper()
	k, err := grip.ParseKey(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header()["Set-Cookie"] = []string{"a=b", "c=d"}
	_, _ = io.WriteString(w, "hello\n")
}

func TestG01PushpinRouteChoosesAndIsRemoved(t *testing.T) {
	r := newRig(t, hello, Options{RouteHeader: true}, "id=app ORIGIN,over_http", "* 127.0.0.1:1")
	if resp, body := r.do(get("/x?y=1", "Pushpin-Route: app")); resp.StatusCode != 200 || body != "hello\n" {
		t.Fatalf("answered %s %q", resp.Status, body)
	}
	q := r.request(0)
	if _, ok := q.header["Pushpin-Route"]; ok || q.uri != "/x?y=1" || q.host != "client.example" {
		t.Errorf("origin got %+v", q)
	}
}

func TestG02GripSig(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pair := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	for name, key := range map[string]grip.Key{"HS256": testKey(t, "changeme"), "ES256": testKey(t, pair)} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, hello, Options{Issuer: "pushpin", Key: key}, "* ORIGIN")
			r.do(get("/"))
			sig := r.request(0).header.Get("Grip-Sig")
			if err := grip.VerifySig(sig, key, "pushpin", time.Now()); err != nil || key.Alg() != name {
				t.Errorf("sig %q: %v", sig, err)
			}
			if err := grip.VerifySig(sig, key, "pushpin", time.Now().Add(time.Hour+2*time.Second)); err == nil {
				t.Error("valid for more than an hour")
			}
		})
	}
}

func TestG02RouteHasItsOwnKey(t *testing.T) {
	r := newRig(t, hello, Options{Issuer: "pushpin", Key: testKey(t, "changeme")}, "*,sig_iss=me,sig_key=base64:c2VjcmV0 ORIGIN")
	r.do(get("/"))
	if err := grip.VerifySig(r.request(0).header.Get("Grip-Sig"), testKey(t, "secret"), "me", time.Now()); err != nil {
		t.Error(err)
	}
}

func TestG03ClientGripHeadersAreReplaced(t *testing.T) {
	r := newRig(t, hello, Options{Issuer: "i", Key: testKey(t, "k")}, "* ORIGIN")
	r.do(get("/", "Grip-Sig: junk", "grip-foo: x", "GRIP-LAST: c; last-id=1"))
	h := r.request(0).header
	if h.Get("Grip-Sig") == "junk" || h.Get("Grip-Foo") != "" || h.Get("Grip-Last") != "" {
		t.Errorf("origin got %v", h)
	}
}

// TestTranscript01 is plain proxying as captured, without what 1.36's client adds.
func TestTranscript01(t *testing.T) {
	r := newRig(t, hello, Options{Issuer: "i", Key: testKey(t, "k"), RouteHeader: true, ForwardedProto: ProtoOnly}, "id=app ORIGIN,over_http")
	resp, body := r.do(get("/x?y=1", "Pushpin-Route: app", "X-Custom: v", "Accept-Encoding: gzip", "Grip-Sig: junk",
		"X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https", "Keep-Alive: timeout=5", "Via: 1.1 foo", "TE: trailers"))
	got := r.request(0).header
	for name, want := range map[string]string{
		"X-Custom": "v", "Via": "1.1 foo", "X-Forwarded-For": "9.9.9.9", "Te": "trailers", "Accept-Encoding": "", "Keep-Alive": "",
		"X-Forwarded-Proto": "", "User-Agent": "", "Accept": "", "Connection": "",
	} {
		if got.Get(name) != want {
			t.Errorf("origin got %s: %q, want %q", name, got.Get(name), want)
		}
	}
	if body != "hello\n" || resp.ContentLength != 6 || fmt.Sprint(resp.Header["Set-Cookie"]) != "[a=b c=d]" {
		t.Errorf("client got %v %q", resp.Header, body)
	}
}

func TestG04PlainResponseIsRelayedAsItIs(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil
		w.Header().Set("X-A", "1")
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(418)
		_, _ = w.Write([]byte("\x1f\x8bxx"))
	}, Options{}, "* ORIGIN")
	resp, body := r.do(get("/"))
	if resp.StatusCode != 418 || body != "\x1f\x8bxx" || resp.Header.Get("X-A") != "1" || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("client got %s %v %q", resp.Status, resp.Header, body)
	}
	for name := range resp.Header {
		if grip.IsHeader(name) || name == "Date" || name == "Server" || name == "Via" {
			t.Errorf("added %s", name)
		}
	}
}

func TestG24RewritesPaths(t *testing.T) {
	for _, c := range []struct{ route, path, want string }{
		{"*,path_beg=/a,replace_beg=/b ORIGIN", "/a/x", "/b/x"},
		{"*,replace_beg=/api/v1 ORIGIN", "/p?q=1", "/api/v1/p?q=1"},
		{"*,path_rem=2 ORIGIN", "/a/x", "/x"},
		{"*,path_rem=9 ORIGIN", "/a/x", "/"},
		{"* ORIGIN", "/a%2Fb/%41//c;d", "/a%2Fb/%41//c;d"},
		{"* ORIGIN", "//a", "//a"},
	} {
		r := newRig(t, hello, Options{}, c.route)
		r.do(get(c.path))
		if got := r.request(0).uri; got != c.want {
			t.Errorf("%s: %s became %s, want %s", c.route, c.path, got, c.want)
		}
	}
}

func TestG25HostOfTarget(t *testing.T) {
	for line, want := range map[string]string{
		"* ORIGIN,host=backend.example:8080": "backend.example:8080", "*,as_host=other.example ORIGIN": "other.example",
		"*,as_host=other.example ORIGIN,host=backend.example": "backend.example", "* ORIGIN": "client.example",
	} {
		r := newRig(t, hello, Options{}, line)
		r.do(get("/"))
		if got := r.request(0).host; got != want {
			t.Errorf("%s: Host %s, want %s", line, got, want)
		}
	}
}

func TestG52ClientMayNotSendEvents(t *testing.T) {
	r := newRig(t, hello, Options{}, "* ORIGIN,over_http")
	resp, body := r.do(post("/x", "OPEN\r\n", "Content-Type: application/websocket-events"))
	if resp.StatusCode != 403 || body != "Client not allowed to send WebSocket events directly.\n" || r.calls() != 0 {
		t.Errorf("answered %s %q", resp.Status, body)
	}
}

// refusing is an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestG53OriginDown(t *testing.T) {
	down := refusing(t)
	for _, debug := range []bool{false, true} {
		r := &rig{t: t, addr: down, log: new(logBook)}
		r.start(Options{Debug: debug}, "* ORIGIN")
		want := "Error while proxying to origin.\n"
		if debug {
			want = "Unable to connect to any targets. Tried: " + down + "\n"
		}
		resp, body := r.do(get("/"))
		if resp.StatusCode != 502 || body != want || resp.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("answered %s %q", resp.Status, body)
		}
		if !strings.Contains(r.log.String(), "refused") {
			t.Errorf("cause not in the log: %s", r.log)
		}
	}
}

func TestFailsOverToTheNextTarget(t *testing.T) {
	r := newRig(t, hello, Options{}, "* "+refusing(t)+" ORIGIN")
	if resp, body := r.do(post("/", "all of it")); resp.StatusCode != 200 || body != "hello\n" || r.request(0).body != "all of it" {
		t.Errorf("answered %s %q", resp.Status, body)
	}
}

func TestG54UnknownRouteIdNeverFallsBack(t *testing.T) {
	r := newRig(t, hello, Options{RouteHeader: true, Unrouted: http.HandlerFunc(hello)}, "* ORIGIN", "id=deep,path_beg=/d ORIGIN")
	for _, id := range []string{"nonesuch", "deep"} {
		if resp, body := r.do(get("/", "Pushpin-Route: "+id)); resp.StatusCode != 502 || body != "Route not found\n" {
			t.Errorf("%s answered %s %q", id, resp.Status, body)
		}
	}
	if r.calls() != 0 {
		t.Error("fell back")
	}
}

func TestUnroutedRequestsStay(t *testing.T) {
	mine := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "mine") })
	r := newRig(t, hello, Options{Unrouted: mine}, "routed.example,path_beg=/p ORIGIN")
	for host, want := range map[string]string{"routed.example": "hello\n", "other.example": "mine"} {
		if _, body := r.do("GET /p HTTP/1.1\nHost: " + host + "\n\n"); body != want {
			t.Errorf("%s answered %q", host, body)
		}
		if got := r.proxy.Routed(host, "/p", http.Header{}, false); got != (want != "mine") {
			t.Errorf("Routed(%s) = %v", host, got)
		}
	}
}

func TestG90ForwardedHeaders(t *testing.T) {
	r := newRig(t, hello, Options{}, "* ORIGIN")
	r.do(get("/", "X-Forwarded-Proto: https", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 2.2.2.2"))
	h := r.request(0).header
	if h.Get("X-Forwarded-Proto") != "https" || fmt.Sprint(h["X-Forwarded-For"]) != "[1.1.1.1, 2.2.2.2]" {
		t.Errorf("origin got %v", h)
	}
}

func TestG89FeaturesAreWhatIsThere(t *testing.T) {
	r := newRig(t, hello, Options{}, "* ORIGIN")
	r.do(get("/"))
	const want = "status, link:next, link:gone, filter:skip-self, filter:skip-users, filter:require-sub, filter:build-id, filter:var-subst"
	if got := r.request(0).header.Get("Grip-Feature"); got != want {
		t.Errorf("Grip-Feature: %s", got)
	}
	if r.request(0).header.Get("Grip-Sig") != "" {
		t.Error("signed without a key")
	}
}

func TestRouteChangesHeaders(t *testing.T) {
	r := newRig(t, hello, Options{}, `*,"header=X-New: some, thing",header=User-Agent:,orig_headers,no_grip ORIGIN`)
	r.do(get("/", "User-Agent: me", "Eb9bf0f5-Fake: x", "X-Old: o"))
	h := r.request(0).header
	if h.Get("X-New") != "some, thing" || h.Get("User-Agent") != "" || h.Get("Grip-Feature") != "" ||
		h.Get("eb9bf0f5-User-Agent") != "me" || h.Get("eb9bf0f5-X-Old") != "o" || h.Get("eb9bf0f5-Fake") != "" {
		t.Errorf("origin got %v", h)
	}
}

func TestRequestBodies(t *testing.T) {
	r := newRig(t, hello, Options{}, "* ORIGIN")
	r.do(post("/", "abc"))
	r.do("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n3\r\nabc\r\n0\r\n\r\n")
	r.do("PURGE / HTTP/1.1\nHost: h\n\n")
	for i, want := range []struct {
		body   string
		length int64
	}{{"abc", 3}, {"abc", -1}, {"", 0}} {
		if q := r.request(i); q.body != want.body || q.length != want.length {
			t.Errorf("request %d: %q, length %d", i, q.body, q.length)
		}
	}
	if _, ok := r.request(2).header["Content-Length"]; !ok {
		t.Error("no Content-Length: 0 with PURGE")
	}
}

func TestExpectContinueIsAnsweredHere(t *testing.T) {
	r := newRig(t, hello, Options{}, "* ORIGIN")
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: h\nExpect: 100-continue\nContent-Length: 3\n\n")
	if resp := c.reply(); resp.StatusCode != 100 {
		t.Fatalf("answered %s", resp.Status)
	}
	_, _ = io.WriteString(c.c, "abc")
	if resp := c.reply(); resp.StatusCode != 200 || r.request(0).body != "abc" || r.request(0).header.Get("Expect") != "" {
		t.Errorf("answered %s", resp.Status)
	}
}

func TestG82NoBodyWhereThereIsNone(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/304" {
			w.WriteHeader(304)
			return
		}
		w.Header().Set("Content-Length", "6")
		_, _ = io.WriteString(w, "hello\n")
	}, Options{}, "* ORIGIN")
	c := r.dial()
	c.send("HEAD / HTTP/1.1\nHost: h\n\n")
	resp, err := http.ReadResponse(c.r, &http.Request{Method: "HEAD"})
	if err != nil || resp.ContentLength != 6 {
		t.Fatalf("HEAD: %+v, %v", resp, err)
	}
	c.send(get("/304"))
	if resp := c.reply(); resp.StatusCode != 304 {
		t.Errorf("behind HEAD: %s", resp.Status)
	}
}

// TestSlowResponseIsLive reads each piece before the origin writes the next.
func TestSlowResponseIsLive(t *testing.T) {
	next := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, "tick\n")
			w.(http.Flusher).Flush()
			<-next
		}
	}, Options{}, "* ORIGIN")
	c := r.dial()
	c.send(get("/"))
	resp := c.reply()
	for range 3 {
		if got := c.ReadString(5, resp.Body); got != "tick\n" {
			t.Fatalf("got %q", got)
		}
		next <- struct{}{}
	}
}

// rawOrigin answers each connection with text and closes it.
func rawOrigin(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			_, _ = c.Read(buf)
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// TestLyingOrigins: none of them reaches a client as a whole answer, or harms the
// route beside it.
func TestLyingOrigins(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	cases := map[string]struct {
		answer string
		broken bool // the client sees the beginning, and that it broke off
	}{
		"length too long":     {head + "Content-Length: 10\r\n\r\nabc", true},
		"chunk cut off":       {head + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", true},
		"no answer":           {"", false},
		"no http":             {"hello\r\n\r\n", false},
		"endless headers":     {head + strings.Repeat("X-Long: "+strings.Repeat("x", 1000)+"\r\n", 1000) + "\r\n", false},
		"switches protocols":  {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", false},
		"held and cut":        {head + "Grip-Hold: stream\r\nGrip-Channel: c\r\nContent-Length: 10\r\n\r\nabc", false},
		"two lengths":         {head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", false},
		"status out of range": {"HTTP/1.1 42 Odd\r\n\r\n", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, hello, Options{}, "good.example ORIGIN", "* "+rawOrigin(t, c.answer))
			cl := r.dial()
			cl.send(get("/"))
			resp := cl.reply()
			body, err := io.ReadAll(resp.Body)
			if c.broken != (err != nil) || !c.broken && (resp.StatusCode != 502 || string(body) != "Error while proxying to origin.\n") {
				t.Errorf("answered %s %q, %v", resp.Status, body, err)
			}
			if resp, body := r.do("GET / HTTP/1.1\nHost: good.example\n\n"); resp.StatusCode != 200 || body != "hello\n" {
				t.Errorf("other route answered %s %q", resp.Status, body)
			}
		})
	}
}

// TestForwardedProtoOverTLS says so only where the listener is encrypted.
func TestForwardedProtoOverTLS(t *testing.T) {
	for mode, want := range map[ForwardedProto][2]string{ProtoPassed: {"theirs", ""}, ProtoOnly: {"https", ""}, ProtoBoth: {"https", "https"}} {
		b := &backend{proxy: New(Options{Log: slog.New(slog.DiscardHandler), ForwardedProto: mode}, nil), route: new(Route)}
		client := http.Header{"X-Forwarded-Proto": {"theirs"}}
		h := b.requestHeader(client, true)
		if got := [2]string{h.Get("X-Forwarded-Proto"), h.Get("X-Forwarded-Protocol")}; got != want || client.Get("X-Forwarded-Proto") != "theirs" {
			t.Errorf("mode %d: %q, want %q", mode, got, want)
		}
		if got := b.requestHeader(client, false).Get("X-Forwarded-Proto"); (got == "theirs") != (mode == ProtoPassed) || got == "https" {
			t.Errorf("mode %d in plain: %q", mode, got)
		}
		if got := b.socketHeader(client, true).Get("X-Forwarded-Proto"); (got == "wss") != (mode != ProtoPassed) {
			t.Errorf("mode %d for sockets: %q", mode, got)
		}
	}
}

func TestConnectIsRefused(t *testing.T) {
	r := newRig(t, hello, Options{}, "* ORIGIN")
	if resp, _ := r.do("CONNECT elsewhere.example:443 HTTP/1.1\nHost: elsewhere.example:443\n\n"); resp.StatusCode != 405 || r.calls() > 0 {
		t.Errorf("answered %s", resp.Status)
	}
}

// TestAnEarlyAnswer comes while the client still sends, and says what is to be done.
func TestAnEarlyAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	answered := make(chan struct{})
	go func() { // ends with its one connection
		c, err := l.Accept()
		if err != nil {
			return
		}
		buf := make([]byte, 64)
		_, _ = c.Read(buf)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nGrip-Hold: stream\r\nGrip-Channel: c\r\nContent-Length: 2\r\n\r\nhi")
		close(answered)
		_, _ = io.Copy(io.Discard, c)
	}()
	r := &rig{t: t, addr: l.Addr().String(), log: new(logBook)}
	r.start(Options{}, "* ORIGIN")
	c := r.dial()
	c.send("POST / HTTP/1.1\nHost: h\nContent-Length: 20\n\n0123456789")
	<-answered
	_, _ = io.WriteString(c.c, "0123456789")
	resp := c.reply()
	if got := c.ReadString(2, resp.Body); got != "hi" {
		t.Errorf("got %q", got)
	}
	r.subscribed("c")
}
