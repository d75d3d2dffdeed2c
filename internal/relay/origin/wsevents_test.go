package origin

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

const (
	closeNormal = "\x03\xe8"
	closeBye    = "\x03\xe9bye"
)

// kit echoes events, as the starter kits do, and subscribes on open.
func kit(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	if string(body) == "OPEN\r\n" {
		events(w, gripExtension, "OPEN\r\nTEXT 02A\r\n", `c:{"type": "subscribe", "channel": "test"}`, "\r\n")
		return
	}
	events(w, nil, string(body))
}

func overHTTP(t *testing.T, h http.HandlerFunc) *rig {
	return newRig(t, h, Options{Issuer: "i", Key: testKey(t, "k"), RouteHeader: true}, "*,debug ORIGIN,over_http")
}

// TestTranscript20 is the starter kits' conversation (G11 to G20).
func TestG11Transcript20(t *testing.T) {
	r := overHTTP(t, kit)
	c := r.socket("/kit?a=1", "Origin: http://x", "Cookie: a=b", "Sec-WebSocket-Protocol: chat",
		"Sec-WebSocket-Extensions: permessage-deflate", "Meta-User: evil", "Connection-Id: mine", "Accept: text/x")
	open := r.request(0)
	for name, want := range map[string]string{
		"Sec-WebSocket-Extensions": "grip", "Accept": eventsType, "Content-Type": eventsType, "Origin": "http://x", "Cookie": "a=b",
		"Sec-WebSocket-Protocol": "chat", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Meta-User": "", "Upgrade": "",
		"Connection": "", "Content-Length": "6", "Content-Bytes-Replayed": "",
	} {
		if got := strings.Join(open.header[http.CanonicalHeaderKey(name)], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	id := open.header.Get("Connection-Id")
	if open.method != "POST" || open.uri != "/kit?a=1" || open.body != "OPEN\r\n" || !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4`).MatchString(id) {
		t.Errorf("opened with %+v", open)
	}
	sent := 0
	step := func(op ws.OpCode, text, body string) {
		t.Helper()
		sent++
		q := r.request(sent)
		if q.body != body || q.header.Get("Connection-Id") != id || q.header.Get("Cookie") != "a=b" || q.header.Get("Grip-Sig") == "" {
			t.Errorf("sent %q, the origin got %+v", text, q)
		}
		c.want(op, text)
	}
	c.frame(ws.OpText, "hello")
	step(ws.OpText, "hello", "TEXT 5\r\nhello\r\n")
	c.frame(ws.OpBinary, "\x00\x01")
	step(ws.OpBinary, "\x00\x01", "BINARY 2\r\n\x00\x01\r\n")
	c.frame(ws.OpPing, "pp")
	step(ws.OpPing, "pp", "PING 2\r\npp\r\n")
	c.frame(ws.OpPong, "")
	step(ws.OpPong, "", "PONG\r\n")
	c.write(ws.NewFrame(ws.OpText, false, []byte("fra")))
	c.write(ws.NewFrame(ws.OpContinuation, true, []byte("gment")))
	step(ws.OpText, "fragment", "TEXT 8\r\nfragment\r\n")
	r.publish(&grip.Item{Channel: "test", WSMessage: &grip.WSMessage{Content: []byte("pub")}})
	c.want(ws.OpText, "pub")
	c.frame(ws.OpClose, closeBye)
	step(ws.OpClose, closeBye, "CLOSE 5\r\n"+closeBye+"\r\n")
	c.wantEnd()
}

// TestG12 holds the 101 back until the origin has accepted.
func TestG12AcceptedOnlyAfterTheOrigin(t *testing.T) {
	gate := make(chan struct{})
	r := overHTTP(t, func(w http.ResponseWriter, req *http.Request) {
		<-gate
		w.Header().Set("X-From-Origin", "1")
		w.Header().Set("Sec-WebSocket-Protocol", "chat")
		w.Header().Set("Set-Meta-A", "1")
		kit(w, req)
	})
	c := r.dial()
	c.send(get("/", strings.TrimSpace(handshakeHead)))
	r.request(0)
	if c.r.Buffered() > 0 {
		t.Error("answered before the origin did")
	}
	close(gate)
	resp := c.reply()
	h := resp.Header
	if resp.StatusCode != 101 || h.Get("X-From-Origin") != "1" || h.Get("Sec-WebSocket-Protocol") != "chat" {
		t.Errorf("answered %s %v", resp.Status, h)
	}
	for _, name := range []string{"Content-Type", "Content-Length", "Set-Meta-A", "Sec-WebSocket-Extensions"} {
		if h.Get(name) != "" {
			t.Errorf("%s reached the client", name)
		}
	}
}

// TestG47 is transcript 25 and the rest of the table in grip.md, 5.5.
func TestG47Transcript25Refusals(t *testing.T) {
	failed := "Error while proxying to origin.\n"
	cases := map[string]struct {
		answer       http.HandlerFunc
		status       int
		body, xwhy   string
		typeOfAnswer string
	}{
		"404":      {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Why", "1"); http.Error(w, "nope", 404) }, 404, "nope\n", "1", "text/plain; charset=utf-8"},
		"html":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, 200, "<html>", "", "text/html; charset=utf-8"},
		"no open":  {func(w http.ResponseWriter, _ *http.Request) { events(w, nil, event("TEXT", "x")) }, 502, failed, "", ""},
		"nothing":  {func(w http.ResponseWriter, _ *http.Request) { events(w, nil) }, 502, failed, "", ""},
		"unframed": {func(w http.ResponseWriter, _ *http.Request) { events(w, nil, "OPEN\r\nTEXT 5\r\nab\r\n") }, 502, failed, "", ""},
		"accepted": {func(w http.ResponseWriter, _ *http.Request) {
			events(w, map[string]string{"Content-Bytes-Accepted": "5"}, "OPEN\r\n")
		}, 502, failed, "", ""},
		"long refusal": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, strings.Repeat("x", maxBuffered+1))
		}, 502, failed, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := overHTTP(t, c.answer)
			cl := r.dial()
			cl.send(get("/", strings.TrimSpace(handshakeHead)))
			resp := cl.reply()
			body, err := io.ReadAll(resp.Body)
			if resp.StatusCode != c.status || string(body) != c.body || err != nil || resp.Header.Get("X-Why") != c.xwhy || resp.Header.Get("Content-Type") != c.typeOfAnswer {
				t.Errorf("answered %s %v %q, %v", resp.Status, resp.Header, body, err)
			}
			cl.wantEnd()
		})
	}
}

func TestRefusalOfADownOriginNamesIt(t *testing.T) {
	r := &rig{t: t, addr: refusing(t), log: new(logBook)}
	r.start(Options{}, "*,debug ORIGIN,over_http")
	resp, body := r.do(get("/", strings.TrimSpace(handshakeHead)))
	if resp.StatusCode != 502 || body != "Unable to connect to any targets. Tried: "+r.addr+"\n" || resp.Header.Get("Content-Type") != "" {
		t.Errorf("answered %s %v %q", resp.Status, resp.Header, body)
	}
}

// replies answers OPEN with the grip extension, and what comes then with answer.
func replies(answer func(w http.ResponseWriter, body string)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		if string(body) == "OPEN\r\n" {
			events(w, map[string]string{"Sec-WebSocket-Extensions": "grip"}, "OPEN\r\n")
			return
		}
		answer(w, string(body))
	}
}

// TestG71 is transcript 26: whatever is wrong with an answer drops the client.
func TestG71Transcript26UselessAnswersDrop(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, body string){
		"500":         func(w http.ResponseWriter, _ string) { http.Error(w, "x", 500) },
		"204":         func(w http.ResponseWriter, _ string) { w.WriteHeader(204) },
		"wrong type":  func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, "TEXT 1\r\nx\r\n") },
		"bad framing": func(w http.ResponseWriter, _ string) { events(w, nil, "TEXT zz\r\nx\r\n") },
		"open again":  func(w http.ResponseWriter, _ string) { events(w, nil, "OPEN\r\n") },
		"disconnect":  func(w http.ResponseWriter, _ string) { events(w, nil, "DISCONNECT\r\n") },
		"too long":    func(w http.ResponseWriter, _ string) { events(w, nil, event("BINARY", strings.Repeat("x", maxEvents))) },
		"too much accepted": func(w http.ResponseWriter, _ string) {
			events(w, map[string]string{"Content-Bytes-Accepted": "6"}, event("TEXT", "m:x"))
		},
		"cut": func(w http.ResponseWriter, _ string) {
			w.Header().Set("Content-Length", "100")
			events(w, nil, event("TEXT", "m:x"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := overHTTP(t, replies(answer))
			c := r.socket("/")
			c.frame(ws.OpText, "hello")
			c.wantEnd()
		})
	}
}

func TestG17Prefixes(t *testing.T) {
	for extension, want := range map[string][]string{
		"grip": {"one", "two"}, `grip; message-prefix="x:"`: {"three"}, "": {"m:one", "m:two", "x:three", "c:{}"},
	} {
		r := overHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
			events(w, map[string]string{"Sec-WebSocket-Extensions": extension}, "OPEN\r\n", event("TEXT", "m:one"),
				event("BINARY", "m:two"), event("TEXT", "x:three"), event("TEXT", "c:{}"))
		})
		c := r.socket("/")
		for _, w := range want {
			f, err := readFrame(c.r)
			if err != nil || string(f.Payload) != w {
				t.Errorf("%s: got %q, %v; want %q", extension, f.Payload, err, w)
			}
		}
	}
}

// TestControlKeepsItsPlace publishes to a socket that subscribed between messages.
func TestG45ControlMessagesInPlace(t *testing.T) {
	r := overHTTP(t, replies(func(w http.ResponseWriter, body string) {
		kind := "subscribe"
		if strings.Contains(body, "off") {
			kind = "unsubscribe"
		}
		events(w, nil, event("TEXT", "m:1"), event("TEXT", `c:{"type":"`+kind+`","channel":"c"}`), event("TEXT", "m:2"),
			event("TEXT", `c:{"type":"nonsense"}`), event("TEXT", "m:3"))
	}))
	c := r.socket("/")
	three := func() {
		t.Helper()
		for _, text := range []string{"1", "2", "3"} {
			c.want(ws.OpText, text)
		}
	}
	c.frame(ws.OpText, "on")
	three()
	r.publish(&grip.Item{Channel: "c", WSMessage: &grip.WSMessage{Content: []byte("pub")}})
	c.want(ws.OpText, "pub")
	c.frame(ws.OpText, "off")
	three()
	if n := r.engine.Subscribers("c"); n != 0 {
		t.Errorf("%d still subscribed", n)
	}
	if !strings.Contains(r.log.String(), "control message ignored") {
		t.Error("a wrong control message went unnoticed")
	}
}

func TestTooManyFiltersClose(t *testing.T) {
	r := overHTTP(t, replies(func(w http.ResponseWriter, _ string) {
		events(w, nil, event("TEXT", `c:{"type":"subscribe","channel":"q","filters":["a","b","c","d","e","f"]}`))
	}))
	c := r.socket("/")
	c.frame(ws.OpText, "x")
	c.want(ws.OpClose, "\x03\xf3too many filters") // the route is in debug mode
}

func TestG21DropBecomesDisconnect(t *testing.T) {
	r := overHTTP(t, kit)
	c := r.socket("/")
	_ = c.c.Close()
	if q := r.request(1); q.body != "DISCONNECT\r\n" || q.header.Get("Content-Bytes-Replayed") != "" {
		t.Errorf("origin got %+v", q)
	}
}

func TestG58PublishedClose(t *testing.T) {
	r := overHTTP(t, kit)
	c := r.socket("/")
	r.publish(&grip.Item{Channel: "test", WSMessage: &grip.WSMessage{Action: grip.Close, Code: 4001, Reason: "out"}})
	c.want(ws.OpClose, "\x0f\xa1out")
	if q := r.request(1); q.body != "CLOSE\r\n" {
		t.Errorf("origin got %+v", q)
	}
}

// TestG20 is transcript 28, with the illegal code that js-grip sends mapped.
func TestG20Transcript28CloseVariants(t *testing.T) {
	for content, want := range map[string]string{"\x0f\xa2zz": "\x0f\xa2zz", "": closeNormal, "\x00\x00": closeNormal, "\x03": closeNormal, "\x03\xedx": closeNormal + "x"} {
		r := overHTTP(t, replies(func(w http.ResponseWriter, _ string) { events(w, nil, event("CLOSE", content)) }))
		c := r.socket("/")
		c.frame(ws.OpText, "x")
		c.want(ws.OpClose, want)
		if warned := strings.Contains(r.log.String(), "close code replaced"); warned != (content != want && content != "") {
			t.Errorf("close %q: warned %v", content, warned)
		}
	}
}

func TestG36Meta(t *testing.T) {
	answers := []map[string]string{
		{"Set-Meta-User": `{"a":"b, c"}`, "Set-Meta-Gone": "x"}, {"set-meta-gone": "", "SET-META-USER": "new"}, nil,
	}
	r := overHTTP(t, replies(func(w http.ResponseWriter, body string) {
		n, _ := strconv.Atoi(body[len(body)-3 : len(body)-2])
		events(w, answers[n], event("TEXT", "m:ok"))
	}))
	c := r.socket("/")
	want := []string{"|", `{"a":"b, c"}|x`, "new|"}
	for i := range answers {
		c.frame(ws.OpText, strconv.Itoa(i))
		c.want(ws.OpText, "ok")
		h := r.request(i + 1).header
		if got := h.Get("Meta-User") + "|" + h.Get("Meta-Gone"); got != want[i] {
			t.Errorf("request %d had meta %s, want %s", i, got, want[i])
		}
	}
}

func TestMetaHasABound(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	r := overHTTP(t, replies(func(w http.ResponseWriter, body string) {
		events(w, map[string]string{"Set-Meta-" + body[8:9]: long}, event("TEXT", "m:ok"))
	}))
	c := r.socket("/")
	for range 2 { // replacing does not add up
		c.frame(ws.OpText, "A")
		c.want(ws.OpText, "ok")
	}
	c.frame(ws.OpText, "B")
	c.want(ws.OpText, "ok")
	c.frame(ws.OpText, "C")
	c.want(ws.OpText, "ok")
	if h := r.request(4).header; h.Get("Meta-A") != long || h.Get("Meta-B") != "" || !strings.Contains(r.log.String(), "meta not stored") {
		t.Error("meta has no bound")
	}
}

// TestG48 batches what comes while a request is under way.
func TestG48Batching(t *testing.T) {
	gate := make(chan struct{}, 8)
	r := overHTTP(t, replies(func(w http.ResponseWriter, body string) {
		if body != "DISCONNECT\r\n" {
			<-gate
		}
		events(w, nil, event("TEXT", "m:"+strconv.Itoa(strings.Count(body, "TEXT"))))
	}))
	c := r.socket("/")
	c.frame(ws.OpText, "a")
	r.request(1)
	for _, text := range []string{"b", "c", "d"} {
		c.frame(ws.OpText, text)
	}
	c.frame(ws.OpPing, "") // the engine has read all of them when it has this one
	gate <- struct{}{}
	c.want(ws.OpText, "1")
	gate <- struct{}{}
	gate <- struct{}{}
	gate <- struct{}{}
	var got strings.Builder
	for i := 2; !strings.Contains(got.String(), "PING"); i++ {
		got.WriteString(r.request(i).body)
	}
	if got.String() != event("TEXT", "b")+event("TEXT", "c")+event("TEXT", "d")+"PING\r\n" {
		t.Errorf("then came %q", got.String())
	}
}

func TestOneEventForEachRequest(t *testing.T) {
	gate := make(chan struct{}, 8)
	r := newRig(t, replies(func(w http.ResponseWriter, body string) {
		if body != "DISCONNECT\r\n" {
			<-gate
		}
		events(w, nil, event("TEXT", "m:"+body))
	}), Options{}, "* ORIGIN,over_http,one_event")
	c := r.socket("/")
	for _, text := range []string{"a", "b", "c"} {
		c.frame(ws.OpText, text)
		gate <- struct{}{}
	}
	for _, text := range []string{"a", "b", "c"} {
		c.want(ws.OpText, event("TEXT", text))
	}
}

func TestG35Refresh(t *testing.T) {
	r := overHTTP(t, kit)
	c := r.socket("/")
	r.publish(&grip.Item{Channel: "test", WSMessage: &grip.WSMessage{Action: grip.Refresh}})
	if q := r.request(1); q.body != "" || q.length != 0 || q.header.Get("Content-Type") != eventsType {
		t.Errorf("refreshed with %+v", q)
	}
	c.frame(ws.OpText, "still there")
	c.want(ws.OpText, "still there")
}

func TestG86SocketSub(t *testing.T) {
	r := newRig(t, replies(func(w http.ResponseWriter, _ string) {
		events(w, nil, event("TEXT", `c:{"type":"unsubscribe","channel":"s"}`), event("TEXT", "m:ok"))
	}), Options{}, "*,prefix=p- ORIGIN,over_http,sub=s")
	c := r.socket("/")
	c.frame(ws.OpText, "x")
	c.want(ws.OpText, "ok")
	r.publish(&grip.Item{Channel: "p-s", WSMessage: &grip.WSMessage{Content: []byte("pub")}})
	c.want(ws.OpText, "pub")
}

func TestTestTargetSocket(t *testing.T) {
	r := newRig(t, hello, Options{}, "* test")
	c := r.socket("/ws")
	c.frame(ws.OpText, "x")
	c.want(ws.OpText, "x")
	r.publish(&grip.Item{Channel: "test", WSMessage: &grip.WSMessage{Content: []byte("pub")}})
	c.want(ws.OpText, "pub")
}

// TestG88 lets the first frame wait behind a 101 that goes through Viceroy.
func TestG88FramesSettleBehindViceroy(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		events(w, gripExtension, "OPEN\r\n", event("TEXT", "first"))
	}, Options{RouteHeader: true}, "id=self ORIGIN,over_http")
	c := r.socket("/", "Pushpin-Route: self")
	if n := c.r.Buffered(); n > 0 {
		t.Errorf("%d bytes came in one piece with the 101", n)
	}
	c.want(ws.OpText, "first")
}

// TestContentTypeWithParameters is accepted, and told once: Pushpin would refuse
// the socket.
func TestContentTypeWithParameters(t *testing.T) {
	r := overHTTP(t, func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		w.Header().Set("Content-Type", eventsType+"; charset=utf-8")
		_, _ = w.Write(body)
	})
	c := r.socket("/")
	c.frame(ws.OpText, "x")
	c.want(ws.OpText, "x")
	if n := strings.Count(r.log.String(), "content type has parameters"); n != 1 {
		t.Errorf("told %d times", n)
	}
}
