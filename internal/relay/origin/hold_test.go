package origin

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// gripOrigin answers with headers and a body.
func gripOrigin(body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header()[name] = append(w.Header()[name], value)
		}
		_, _ = io.WriteString(w, body)
	}
}

func streamItem(channel, content string) *grip.Item {
	return &grip.Item{Channel: channel, HTTPStream: &grip.HTTPStream{Content: []byte(content)}}
}

// wantNoGrip checks what reaches the client (G06).
func wantNoGrip(t *testing.T, h http.Header) {
	t.Helper()
	for name := range h {
		if grip.IsHeader(name) {
			t.Errorf("client got %s", name)
		}
	}
}

func TestG05G06G26StreamHold(t *testing.T) {
	r := newRig(t, gripOrigin("open\n", "Grip-Hold: stream", "Grip-Channel: a, b", "Grip-Channel: c", "Content-Type: text/x", "Date: "), Options{}, "* ORIGIN")
	c := r.dial()
	c.send(get("/"))
	resp := c.reply()
	wantNoGrip(t, resp.Header)
	if fmt.Sprint(resp.TransferEncoding) != "[chunked]" || resp.Header.Get("Content-Type") != "text/x" {
		t.Errorf("client got %v", resp)
	}
	if got := c.ReadString(5, resp.Body); got != "open\n" {
		t.Errorf("first bytes %q", got)
	}
	for _, channel := range []string{"a", "b", "c"} {
		r.subscribed(channel)
		r.publish(streamItem(channel, channel))
		if got := c.ReadString(1, resp.Body); got != channel {
			t.Errorf("published %s, got %q", channel, got)
		}
	}
	r.publish(&grip.Item{Channel: "a", HTTPStream: &grip.HTTPStream{Action: grip.Close}})
	if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
		t.Errorf("behind close: %q, %v", rest, err)
	}
}

func TestG09LongPoll(t *testing.T) {
	r := newRig(t, gripOrigin("nothing\n", "Grip-Hold: response", "Grip-Channel: c", "X-Orig: 1"), Options{}, "* ORIGIN")
	c := r.dial()
	for i := range 2 { // the connection can be used for the next one
		c.send(post("/", "same body"))
		r.subscribed("c")
		r.publish(&grip.Item{Channel: "c", HTTPResponse: &grip.HTTPResponse{Code: 201, Body: []byte("news\n")}})
		resp := c.reply()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 201 || string(body) != "news\n" || resp.Header.Get("X-Orig") != "1" || r.request(i).body != "same body" {
			t.Errorf("answered %s %v %q", resp.Status, resp.Header, body)
		}
		wantNoGrip(t, resp.Header)
		until(t, "end of the hold", func() bool { return r.engine.Subscribers("c") == 0 })
	}
}

// TestTranscript15 is a hold asked for in JSON: nothing of the outer response
// counts.
func TestG76Transcript15(t *testing.T) {
	r := newRig(t, gripOrigin(`{"hold": {"mode": "stream", "channels": [{"name": "gi"}]},
		"response": {"code": 201, "headers": {"Content-Type": "text/event-stream", "X-I": "1", "Grip-X": "no"}, "body": "hi\n"}}`,
		"Content-Type: application/grip-instruct; v=1", "X-Lost: 1"), Options{}, "* ORIGIN")
	c := r.dial()
	c.send(get("/gi"))
	resp := c.reply()
	wantNoGrip(t, resp.Header)
	if resp.StatusCode != 201 || resp.Header.Get("X-I") != "1" || resp.Header.Get("X-Lost") != "" || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("client got %s %v", resp.Status, resp.Header)
	}
	r.subscribed("gi")
	r.publish(streamItem("gi", "a\n"))
	if got := c.ReadString(5, resp.Body); got != "hi\na\n" {
		t.Errorf("body %q", got)
	}
}

func TestG77StatusAndExposedHeaders(t *testing.T) {
	r := newRig(t, gripOrigin("x", "Grip-Status: 404 Nope", "Grip-Expose-Headers: x-seen", "X-Seen: 1", "X-Hidden: 1"), Options{}, "* ORIGIN")
	resp, body := r.do(get("/"))
	if resp.StatusCode != 404 || body != "x" || resp.Header.Get("X-Seen") != "1" || resp.Header.Get("X-Hidden") != "" || resp.ContentLength != 1 {
		t.Errorf("client got %s %v %q", resp.Status, resp.Header, body)
	}
}

func TestG70BadInstructions(t *testing.T) {
	long := strings.Repeat("x", maxBuffered+1)
	cases := []struct{ name, debug, body, header string }{
		{"hold", "Failed to parse accept instructions: Grip-Hold must be set to either 'response' or 'stream'", "", "Grip-Hold: Stream"},
		{"filters", "Failed to parse accept instructions: too many filters for channel 'x'", "",
			"Grip-Channel: x; filter=a; filter=b; filter=c; filter=d; filter=e; filter=f"},
		{"json", "Failed to parse accept instructions: failed to parse application/grip-instruct content as JSON", "{", "Content-Type: application/grip-instruct"},
		{"status", "Failed to parse accept instructions: Grip-Status contains invalid status code", "", "Grip-Status: 101 Switching"},
		{"link", "Failed to parse accept instructions: Grip-Link contains invalid link", "", "Grip-Link: <mailto:x>; rel=next"},
		{"long poll", "GRIP instruct response too large from ORIGIN", long, "Grip-Hold: response"},
		{"long json", "GRIP instruct response too large from ORIGIN", long, "Content-Type: application/grip-instruct"},
	}
	for _, c := range cases {
		for _, route := range []string{"* ORIGIN", "*,debug ORIGIN"} {
			t.Run(c.name+" "+route, func(t *testing.T) {
				r := newRig(t, gripOrigin(c.body, c.header), Options{}, route)
				want := "Error while proxying to origin.\n"
				if strings.Contains(route, "debug") {
					want = strings.ReplaceAll(c.debug, "ORIGIN", r.addr) + "\n"
				}
				if resp, body := r.do(get("/")); resp.StatusCode != 502 || body != want {
					t.Errorf("answered %s %q, want %q", resp.Status, body, want)
				}
			})
		}
	}
}

func TestStatusOfInstructJSONMustBe200(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", instructType)
		w.WriteHeader(201)
		_, _ = io.WriteString(w, "{}")
	}, Options{Debug: true}, "* ORIGIN")
	if resp, body := r.do(get("/")); resp.StatusCode != 502 || !strings.Contains(body, "must be 200") {
		t.Errorf("answered %s %q", resp.Status, body)
	}
}

func TestLongBodyOfAStream(t *testing.T) {
	long := strings.Repeat("0123456789", 50_000)
	r := newRig(t, gripOrigin(long, "Grip-Hold: stream", "Grip-Channel: c"), Options{}, "* ORIGIN")
	c := r.dial()
	c.send(get("/"))
	resp := c.reply()
	if got := c.ReadString(len(long), resp.Body); got != long {
		t.Errorf("body of %d bytes differs", len(got))
	}
	r.subscribed("c")
	r.publish(streamItem("c", "more"))
	if got := c.ReadString(4, resp.Body); got != "more" {
		t.Errorf("behind it %q", got)
	}
}

func TestInstructionsForALargeRequest(t *testing.T) {
	r := newRig(t, gripOrigin("x", "Grip-Hold: response", "Grip-Channel: c"), Options{}, "* ORIGIN")
	resp, body := r.do(post("/", strings.Repeat("x", maxBuffered+1)))
	if resp.StatusCode != 400 || body != "Request too large to accept GRIP instruct.\n" {
		t.Errorf("answered %s %q", resp.Status, body)
	}
}

// TestG28G31NextLink: a hint makes the relay ask the link with its own rights.
func TestG28G31NextLink(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/v1/next" {
			w.Header().Set("Grip-Hold", "stream")
			w.Header().Set("Grip-Channel", "c; prev-id=2")
			w.Header().Set("Grip-Link", "<next?again=1>; rel=next")
			_, _ = io.WriteString(w, "page\n")
			return
		}
		gripOrigin("first\n", "Grip-Hold: stream", "Grip-Channel: c; prev-id=1", "Grip-Link: <next?token=t>; rel=next")(w, req)
	}, Options{Issuer: "i", Key: testKey(t, "k")}, "*,replace_beg=/v1,prefix=p- ORIGIN")
	c := r.dial()
	c.send(get("/first", "Cookie: a=b", "Authorization: secret", "Last-Event-ID: 7"))
	resp := c.reply()
	if got := c.ReadString(6, resp.Body); got != "first\n" {
		t.Fatalf("got %q", got)
	}
	r.subscribed("p-c")
	r.publish(streamItem("p-c", "unknown id"))
	if got := c.ReadString(5, resp.Body); got != "page\n" {
		t.Fatalf("got %q", got)
	}
	q := r.request(1)
	if q.method != "GET" || q.uri != "/v1/next?token=t" || q.host != "client.example" || q.header.Get("Grip-Last") != "c; last-id=1" {
		t.Errorf("next link asked as %+v", q)
	}
	if q.header.Get("Grip-Sig") == "" || q.header.Get("Cookie")+q.header.Get("Authorization")+q.header.Get("Last-Event-ID")+q.header.Get("User-Agent") != "" {
		t.Errorf("next link asked with %v", q.header)
	}
	r.publish(&grip.Item{Channel: "p-c", PrevID: "2", ID: "3", HTTPStream: &grip.HTTPStream{Content: []byte("live")}})
	if got := c.ReadString(4, resp.Body); got != "live" {
		t.Errorf("behind the page %q", got)
	}
}

// TestLinkToAnotherHost is fetched over the network, signed.
func TestLinkToAnotherHost(t *testing.T) {
	other := newRig(t, gripOrigin("the end\n"), Options{}, "* ORIGIN")
	r := newRig(t, gripOrigin("first\n", "Grip-Link: <http://me:pw@"+other.addr+"/p?x=1#f>; rel=next"), Options{Issuer: "i", Key: testKey(t, "k")}, "*,as_host=a.example ORIGIN")
	if _, body := r.do(get("/", "Cookie: a=b")); body != "first\nthe end\n" {
		t.Errorf("got %q", body)
	}
	if q := other.request(0); q.uri != "/p?x=1" || q.host != other.addr || q.header.Get("Grip-Sig") == "" || q.header.Get("Cookie")+q.header.Get("Authorization") != "" {
		t.Errorf("asked as %+v", q)
	}
}

func TestG78PagesAreConcatenated(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/1":
			w.Header().Set("Grip-Link", "</2>; rel=next")
		case "/2":
			w.Header().Set("Grip-Link", "<http://CLIENT.example:80/3>; rel=next")
		}
		_, _ = io.WriteString(w, req.URL.Path)
	}, Options{}, "* ORIGIN")
	if _, body := r.do(get("/1")); body != "/1/2/3" {
		t.Errorf("got %q", body)
	}
}

func TestG80GoneLink(t *testing.T) {
	r := newRig(t, gripOrigin("x", "Grip-Hold: stream", "Grip-Channel: c", "Grip-Link: </bye?id=1>; rel=gone"), Options{}, "* ORIGIN")
	c := r.dial()
	c.send(get("/"))
	c.reply()
	r.subscribed("c")
	_ = c.c.Close()
	q := r.request(1)
	if q.method != "POST" || q.uri != "/bye?id=1" || q.body != "" || q.length != 0 || q.header.Get("Content-Type") != "" || q.header.Get("Grip-Feature") == "" {
		t.Errorf("gone link told as %+v", q)
	}
}

func TestG86Transcript31CORS(t *testing.T) {
	r := newRig(t, gripOrigin("{\"a\":1}\n", "Content-Type: application/json", "X-Foo: 1"), Options{}, "*,aco ORIGIN")
	resp, _ := r.do(get("/co", "Origin: https://o.example"))
	for name, want := range map[string]string{
		"Access-Control-Allow-Methods": "OPTIONS, HEAD, GET, POST, PUT, DELETE", "Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Origin": "https://o.example", "Access-Control-Max-Age": "3600",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := resp.Header.Get("Access-Control-Expose-Headers"); !strings.Contains(got, "X-Foo") || strings.Contains(got, "Content-Type") {
		t.Errorf("exposed %q", got)
	}
}

func TestG86SubAndPrefix(t *testing.T) {
	r := newRig(t, gripOrigin("", "Grip-Hold: stream", "Grip-Channel: c"), Options{}, "*,prefix=p- ORIGIN,sub=s,sub=c")
	c := r.dial()
	c.send(get("/"))
	resp := c.reply()
	for _, channel := range []string{"p-s", "p-c"} {
		r.subscribed(channel)
		r.publish(streamItem(channel, channel))
		if got := c.ReadString(len(channel), resp.Body); got != channel {
			t.Errorf("got %q", got)
		}
	}
	if n := r.engine.Subscribers("c"); n > 0 {
		t.Error("subscribed without the prefix")
	}
}

func TestNoGripPassesInstructionsOn(t *testing.T) {
	r := newRig(t, gripOrigin("x", "Grip-Hold: stream", "Grip-Channel: c"), Options{}, "*,no_grip ORIGIN")
	resp, body := r.do(get("/"))
	if resp.Header.Get("Grip-Hold") != "stream" || body != "x" {
		t.Errorf("client got %v %q", resp.Header, body)
	}
}

func TestBuiltInTestTarget(t *testing.T) {
	r := newRig(t, hello, Options{}, "* test")
	if _, body := r.do(get("/")); !strings.HasPrefix(body, "Hello") {
		t.Errorf("got %q", body)
	}
	c := r.dial()
	c.send(get("/stream"))
	resp := c.reply()
	r.subscribed("test")
	r.publish(streamItem("test", "news"))
	if got := c.ReadString(18, resp.Body); got != "[stream open]\nnews" {
		t.Errorf("got %q", got)
	}
}

// TestHeadIsNeverHeld answers at once, with the length that a GET would have.
func TestHeadIsNeverHeld(t *testing.T) {
	for _, header := range []string{"Grip-Hold: stream", "Grip-Hold: response", "Content-Type: application/grip-instruct"} {
		r := newRig(t, gripOrigin("", header, "Content-Length: 7"), Options{}, "* ORIGIN")
		c := r.dial()
		c.send("HEAD / HTTP/1.1\nHost: h\n\n")
		resp, err := http.ReadResponse(c.r, &http.Request{Method: "HEAD"})
		if err != nil || resp.StatusCode != 200 || resp.ContentLength != 7 {
			t.Fatalf("%s: %+v, %v", header, resp, err)
		}
		wantNoGrip(t, resp.Header)
	}
}

// TestTrustedProxyInFront speaks for itself, and its origin's answers are its own.
func TestTrustedProxyInFront(t *testing.T) {
	key := testKey(t, "upstream")
	signer, err := grip.NewSigner("front", key)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.Sign(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Issuer: "i", Key: testKey(t, "k"), UpstreamKey: key}
	r := newRig(t, gripOrigin("x", "Grip-Hold: stream", "Grip-Channel: c"), o, "* ORIGIN,over_http")
	resp, body := r.do(post("/", "OPEN\r\n", "Content-Type: "+eventsType, "Grip-Sig: "+sig, "Grip-Feature: theirs"))
	if h := r.request(0).header; h.Get("Grip-Sig") != sig || h.Get("Grip-Feature") != "theirs" {
		t.Errorf("origin got %v", h)
	}
	if resp.Header.Get("Grip-Hold") != "stream" || body != "x" {
		t.Errorf("client got %v %q", resp.Header, body)
	}
	c := r.dial()
	c.send(get("/", "Grip-Sig: "+sig[:len(sig)-2]))
	wantNoGrip(t, c.reply().Header)
	if h := r.request(1).header; h.Get("Grip-Sig") == sig[:len(sig)-2] {
		t.Error("a forged signature was passed on")
	}
}

// TestLongBodyThatIsNotHeld keeps its length.
func TestLongBodyThatIsNotHeld(t *testing.T) {
	long := strings.Repeat("0123456789", 50_000)
	r := newRig(t, gripOrigin(long, "Grip-Foo: x", "Content-Length: 500000"), Options{}, "* ORIGIN")
	if resp, body := r.do(get("/")); body != long || resp.ContentLength != 500_000 {
		t.Errorf("%d bytes, length %d", len(body), resp.ContentLength)
	}
}
