package relay

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/grip"
)

// fakeEngine notes what is published.
type fakeEngine struct {
	items     []*grip.Item
	recovered int
	err       error
}

func (e *fakeEngine) Publish(_ context.Context, items ...*grip.Item) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	e.items = append(e.items, items...)
	return len(items), nil
}

func (e *fakeEngine) Recover() { e.recovered++ }

func testAPI(e *fakeEngine, set func(*Options)) *publishAPI {
	o := Options{Log: slog.New(slog.DiscardHandler)}
	if set != nil {
		set(&o)
	}
	return newPublishAPI(o.withDefaults(), e)
}

// call sends one request; head has a line for each header.
func call(a http.Handler, method, target, head, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body))) // as net/http's server leaves it there
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

const oneItem = `{"items":[{"channel":"c","formats":{"http-stream":{"content":"x"}}}]}`

// The rows are those of grip.md, 3.1, and of capture 30.
func TestPublishAnswers(t *testing.T) {
	for _, tt := range []struct {
		method, target, head, body string
		status                     int
		want, media                string
		items                      int
	}{
		{"POST", "/publish/", "", oneItem, 200, "Published\n", typeText, 1},
		{"POST", "/publish", "", oneItem, 200, "Published\n", typeText, 1},
		{"POST", "/publish/?a=b", "", oneItem, 200, "Published\n", typeText, 1},
		{"POST", "/service/abc/publish/", "", oneItem, 200, "Published\n", typeText, 1},
		{"POST", "/service/abc/publish", "Authorization: Bearer anything", oneItem, 200, "Published\n", typeText, 1},
		{"POST", "/abc/publish/", "Authorization: Basic YWJjOng=", oneItem, 200, "Published\n", typeText, 1},
		{"POST", "/service/publish", "", oneItem, 200, "Published\n", typeText, 1},
		{"POST", "/publish/", "", `{"items":[]}`, 200, "Published\n", typeText, 0},
		{"POST", "/publish/", "Accept: application/json", oneItem, 200, "{\"message\":\"Published\"}\n", typeJSON, 1},
		{"POST", "/publish/", "Accept: application/*", oneItem, 200, "{\"message\":\"Published\"}\n", typeJSON, 1},
		{"POST", "/publish/", "Accept: text/*", oneItem, 200, "Published\n", typeText, 1},
		{"POST", "/publish/", "Accept: *", oneItem, 200, "Published\n", typeText, 1},
		{"POST", "/publish/", "Accept: ", oneItem, 406, "Not Acceptable. Supported formats are text/plain and application/json.\n", typeText, 0},
		{"POST", "/publish/", "Accept: APPLICATION/JSON", oneItem, 406, "Not Acceptable. Supported formats are text/plain and application/json.\n", typeText, 0},
		{"POST", "/publish/", "", "\ufeff" + oneItem, 200, "Published\n", typeText, 1},
		{"POST", "/publish/", "Accept: text/plain, application/json;q=0.1, image/png", oneItem, 200, "{\"message\":\"Published\"}\n", typeJSON, 1},
		{"POST", "/publish/", "Accept: application/json, text/plain", oneItem, 200, "Published\n", typeText, 1},
		{"POST", "/publish/", "Accept: text/plain\nAccept: application/json", oneItem, 200, "{\"message\":\"Published\"}\n", typeJSON, 1},
		{"POST", "/publish/", "Accept: text/html", oneItem, 406, "Not Acceptable. Supported formats are text/plain and application/json.\n", typeText, 0},
		{"GET", "/publish/", "", "", 405, "Method not allowed: GET.\n", typeText, 0},
		{"PUT", "/service/abc/publish/", "", oneItem, 405, "Method not allowed: PUT.\n", typeText, 0},
		{"GET", "/recover", "", "", 405, "Method not allowed: GET.\n", typeText, 0},
		{"GET", "/", "", "", 200, "Pushpin API\n", typeText, 0},
		{"POST", "/", "", oneItem, 200, "Pushpin API\n", typeText, 0},
		{"GET", "/nope", "", "", 404, "Not Found\n", typeText, 0},
		{"POST", "/publish//", "", oneItem, 404, "Not Found\n", typeText, 0},
		{"POST", "//publish", "", oneItem, 404, "Not Found\n", typeText, 0},
		{"POST", "/service//publish", "", oneItem, 404, "Not Found\n", typeText, 0},
		{"POST", "/service/a/b/publish", "", oneItem, 404, "Not Found\n", typeText, 0},
		{"POST", "/publish/", "", "{", 400, "Body is not valid JSON.\n", typeText, 0},
		{"POST", "/publish/", "", "", 400, "Body is not valid JSON.\n", typeText, 0},
		{"POST", "/publish/", "", "{\"items\":[\"\xff\"]}", 400, "Body is not valid JSON.\n", typeText, 0},
		{"POST", "/publish/", "", "[]", 400, "Invalid format.\n", typeText, 0},
		{"POST", "/publish/", "", "{}", 400, "Invalid format: object does not contain 'items'\n", typeText, 0},
		{"POST", "/publish/", "", `{"items":{}}`, 400, "Invalid format: object contains 'items' with wrong type\n", typeText, 0},
		{"POST", "/publish/", "", `{"items":[{"channel":"c","formats":{"http-stream":{"action":"zzz"}}}]}`, 400, "Invalid format: \n", typeText, 0},
		{"POST", "/publish/", "Accept: application/json", `{"items":["x"]}`, 400, "Invalid format: publish item object is not an object\n", typeText, 0},
		{"POST", "/publish/", "", `{"items":[{"channel":"c","http-stream":{"content":"x"}},{"channel":"c"}]}`, 400, "Invalid format: no formats specified\n", typeText, 0},
		{"POST", "/recover/", "", "", 200, "Updated\n", typeText, 0},
		{"POST", "/recover", "Accept: application/json", "", 200, "{\"message\":\"Updated\"}\n", typeJSON, 0},
	} {
		e := &fakeEngine{}
		w := call(testAPI(e, nil), tt.method, "http://127.0.0.1"+tt.target, tt.head, tt.body)
		if w.Code != tt.status || w.Body.String() != tt.want || w.Header().Get("Content-Type") != tt.media {
			t.Errorf("%s %s %q %q: %d %q %s", tt.method, tt.target, tt.head, tt.body, w.Code, w.Body, w.Header())
		}
		if allow := w.Header().Get("Allow"); (allow == "POST") != (w.Code == 405) {
			t.Errorf("%s %s: Allow is %q", tt.method, tt.target, allow)
		}
		if len(e.items) != tt.items || (e.recovered > 0) != (tt.want == "Updated\n" || strings.Contains(tt.want, `"Updated"`)) {
			t.Errorf("%s %s %q: %d items published, recovered %d times", tt.method, tt.target, tt.body, len(e.items), e.recovered)
		}
	}
}

func TestPublishSizes(t *testing.T) {
	body := func(n int) string { return oneItem + strings.Repeat(" ", n-len(oneItem)) }
	for _, tt := range []struct {
		limit, service int64
		target         string
		size           int
		ok             bool
	}{
		{0, 0, "/publish/", 1_000_000, true},
		{0, 0, "/publish/", 1_000_001, false},
		{0, 0, "/service/s/publish/", 1_000_000, true},
		{65536, 0, "/publish/", 65536, true},
		{65536, 0, "/publish/", 65537, false},
		{65536, 0, "/service/s/publish/", 256 << 10, true},
		{65536, 0, "/service/s/publish/", 256<<10 + 1, false},
		{65536, 0, "/s/publish", 109_000, true},
		{0, 65536, "/s/publish", 65536, true},
		{0, 65536, "/s/publish", 65537, false},
		{0, 65536, "/publish", 65537, true},
	} {
		for _, chunked := range []bool{false, true} {
			e := &fakeEngine{}
			r := httptest.NewRequest("POST", tt.target, strings.NewReader(body(tt.size)))
			if chunked {
				r.ContentLength = -1
			}
			w := httptest.NewRecorder()
			testAPI(e, func(o *Options) { o.PublishLimit, o.ServicePublishLimit = tt.limit, tt.service }).ServeHTTP(w, r)
			if tt.ok != (w.Code == 200) || !tt.ok && (w.Code != 400 || w.Body.String() != "Request body too large.\n") || tt.ok != (len(e.items) == 1) {
				t.Errorf("limit %d, %s, %d bytes, chunked %v: %d %q", tt.limit, tt.target, tt.size, chunked, w.Code, w.Body)
			}
		}
	}
}

func TestPublishKey(t *testing.T) {
	const key = "correct horse"
	signed := func(secret string, at time.Time) string {
		k, err := grip.ParseKey(secret, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := grip.NewSigner("me", k)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := s.Sign(at)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	basic := func(s string) string { return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for head, ok := range map[string]bool{
		"":                                      false,
		"Authorization: Bearer " + key:          true,
		"Authorization: bearer " + key:          true,
		"Fastly-Key: " + key:                    true,
		basic("abc:" + key):                     true,
		basic(":" + key):                        true,
		"Authorization: Bearer ":                false,
		"Authorization: Bearer " + key + "x":    false,
		"Authorization: " + key:                 false,
		"Authorization: Token " + key:           false,
		"Fastly-Key: correct":                   false,
		basic(key + ":abc"):                     false,
		basic("abc:"):                           false,
		"Fastly-Key: \nAuthorization: Basic !!": false,
		"Authorization: Bearer " + signed(key, time.Now()):                    true,
		"Authorization: Bearer " + signed("another", time.Now()):              false,
		"Authorization: Bearer " + signed(key, time.Now().Add(-2*time.Hour)):  false,
		"Authorization: Bearer eyJhbGciOiJub25lIn0.eyJleHAiOjk5OTk5OTk5OTl9.": false,
	} {
		for _, target := range []string{"/publish/", "/service/abc/publish/", "/abc/publish", "/recover"} {
			e := &fakeEngine{}
			w := call(testAPI(e, func(o *Options) { o.PublishKey = key }), "POST", target, head, oneItem)
			done := len(e.items)+e.recovered == 1
			if ok != (w.Code == 200) || ok != done || !ok && (w.Code != 401 || len(w.Header().Values("WWW-Authenticate")) != 2) {
				t.Errorf("%s with %q: %d %q, done %v", target, head, w.Code, w.Body, done)
			}
			if strings.Contains(w.Body.String(), key) {
				t.Error("the answer shows the key")
			}
		}
	}
}

// A key that looks like the name of a file is a key.
func TestPublishKeyIsNeverAFile(t *testing.T) {
	e := &fakeEngine{}
	if w := call(testAPI(e, func(o *Options) { o.PublishKey = "file:/etc/hostname" }), "POST", "/publish/", "Fastly-Key: file:/etc/hostname", oneItem); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestPublishWhenTheEngineCannot(t *testing.T) {
	e := &fakeEngine{err: errors.New("draining")}
	if w := call(testAPI(e, nil), "POST", "/publish/", "", oneItem); w.Code != 503 || w.Body.String() != "Not published: draining\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestPublishLog(t *testing.T) {
	var log strings.Builder
	a := testAPI(&fakeEngine{}, func(o *Options) {
		o.PublishKey, o.Log = "correct horse", slog.New(slog.NewTextHandler(&log, nil))
	})
	call(a, "POST", "/publish/", "Fastly-Key: correct horse", `{"items":[{"channel":"room","http-stream":{"action":"hint"},"ws-message":{"content":"s3cret payload"}}]}`)
	call(a, "POST", "/publish/", "Fastly-Key: wrong horse", oneItem)
	for _, want := range []string{`channel=room formats="http-stream:hint ws-message" delivered=1`, "status=401"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in %s", want, log.String())
		}
	}
	for _, secret := range []string{"horse", "payload"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q in %s", secret, log.String())
		}
	}
}

// What only a real connection shows, and that health stays where it was.
func TestPublishOverTheWire(t *testing.T) {
	s := startT(t, testOptions())
	control := strings.TrimPrefix(s.Ready().Control, "http://")
	for _, tt := range []struct{ request, want string }{
		{"POST /publish/ HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 411 Length Required\r\n"},
		{"POST /publish/ HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "\r\n\r\nBody is not valid JSON.\n"},
		{"POST /publish HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"ite\r\n9\r\nms\":[   ]\r\n1\r\n}\r\n0\r\n\r\n", "\r\n\r\nPublished\n"},
		{"POST /publish/ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n{\"items\":[]}", "\r\n\r\nPublished\n"},
		{"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\nPushpin API\n"},
		{"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\nok\n"},
		{"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\nready\n"},
		{"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", "pubsubctl_relay_uptime_seconds"},
		{"POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 "},
		{"POST /publish/ HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n", "Request body too large.\n"},
		{"POST /publish/ HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 400 "},
	} {
		c, err := net.Dial("tcp", control)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, tt.request); err != nil {
			t.Fatal(err)
		}
		readUntil(t, bufio.NewReader(c), tt.want)
		_ = c.Close()
	}
}

// A published item reaches a stream of the app: /publish/ is the same engine.
func TestPublishReachesStreams(t *testing.T) {
	s := startT(t, testOptions())
	_, r := dial(t, s, subscribe)
	readUntil(t, r, "\ndata: \n\n\r\n")
	body := `{"items":[{"channel":"s:test","formats":{"http-stream":{"content":"event: message\ndata: from outside\n\n"}}}]}`
	resp, err := http.Post(s.Ready().Control+"/service/abc/publish/", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); string(text) != "Published\n" {
		t.Fatalf("%s %q", resp.Status, text)
	}
	readUntil(t, r, "data: from outside\n\n")
}

func BenchmarkPublishAPI(b *testing.B) {
	for name, body := range map[string]string{
		"small":    oneItem,
		"batch100": `{"items":[` + strings.Repeat(`{"channel":"c","formats":{"http-stream":{"content":"x"}}},`, 99) + `{"channel":"c","formats":{"http-stream":{"content":"x"}}}]}`,
	} {
		b.Run(name, func(b *testing.B) {
			o := testOptions()
			s, err := Start(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Shutdown(context.Background()) }()
			c, err := net.Dial("tcp", strings.TrimPrefix(s.Ready().Control, "http://"))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			request := "POST /publish/ HTTP/1.1\r\nHost: h\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
			r := bufio.NewReader(c)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.WriteString(c, request); err != nil {
					b.Fatal(err)
				}
				for {
					line, err := r.ReadSlice('\n')
					if err != nil {
						b.Fatal(err)
					}
					if string(line) == "Published\n" {
						break
					}
				}
			}
		})
	}
}
