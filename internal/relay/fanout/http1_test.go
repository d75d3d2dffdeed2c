package fanout

import (
	"bufio"
	"bytes"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// What the front takes for plain, net/http reads the same way and to the same
// end: no request can be smuggled between the two.
func FuzzParseHead(f *testing.F) {
	for _, in := range []string{
		"GET /events?topic=a%20b&x HTTP/1.1\r\nHost: h:1\r\nAccept: a\r\nAccept: b\r\n\r\n",
		"POST //x/../y? HTTP/1.1\r\nhost: [::1]\r\ncontent-length: 03\r\nConnection: Keep-Alive\r\n\r\nabcGET /",
		"GET / HTTP/1.1\r\nHost: h\r\nPragma: no-cache\r\nX:\r\nCookie: a=b \r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var r request1
		n, state := r.parseHead(in)
		if state != headPlain {
			return
		}
		behind := bufio.NewReaderSize(bytes.NewReader(in), len(in)+16)
		want, err := http.ReadRequest(behind)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", in[:n], err)
		}
		if left := behind.Buffered(); left != len(in)-n {
			t.Errorf("the head ends at %d, for net/http at %d", n, len(in)-left)
		}
		if r.method != want.Method || r.path != want.URL.EscapedPath() || r.query != want.URL.RawQuery ||
			r.host != want.Host || int64(r.length) != want.ContentLength || want.Close || len(want.TransferEncoding) > 0 {
			t.Errorf("read %+v, net/http %+v", r, want)
		}
		if r.header["Cache-Control"] == nil {
			delete(want.Header, "Cache-Control") // net/http adds one to Pragma
		}
		if !reflect.DeepEqual(r.header, want.Header) {
			t.Errorf("header is %v, of net/http %v", r.header, want.Header)
		}
	})
}

// What the front must leave to net/http, which judges it.
func TestParseHeadLeavesTheRest(t *testing.T) {
	const host = "Host: h\r\n"
	for name, in := range map[string]string{
		"chunked":           "POST / HTTP/1.1\r\n" + host + "TRANSFER-ENCODING: chunked\r\n\r\n",
		"two lengths":       "POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"signed length":     "POST / HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\n",
		"length list":       "POST / HTTP/1.1\r\n" + host + "Content-Length: 1, 1\r\n\r\n",
		"huge length":       "POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n",
		"GET with a body":   "GET / HTTP/1.1\r\n" + host + "Content-Length: 1\r\n\r\nx",
		"expectation":       "POST / HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
		"upgrade":           "GET / HTTP/1.1\r\n" + host + "Upgrade: websocket\r\n\r\n",
		"close":             "GET / HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"HTTP/1.0":          "GET / HTTP/1.0\r\n" + host + "\r\n",
		"HEAD":              "HEAD / HTTP/1.1\r\n" + host + "\r\n",
		"HTTP/2":            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"absolute form":     "GET http://h/ HTTP/1.1\r\n" + host + "\r\n",
		"no host":           "GET / HTTP/1.1\r\n\r\n",
		"two hosts":         "GET / HTTP/1.1\r\n" + host + host + "\r\n",
		"space before ':'":  "GET / HTTP/1.1\r\n" + host + "X : y\r\n\r\n",
		"folded":            "GET / HTTP/1.1\r\n" + host + "X: y\r\n z\r\n\r\n",
		"bare LF":           "GET / HTTP/1.1\n" + host + "\r\n",
		"LF in a value":     "GET / HTTP/1.1\r\n" + host + "X: y\nTransfer-Encoding: chunked\r\n\r\n",
		"NUL in a value":    "GET / HTTP/1.1\r\n" + host + "X: \x00\r\n\r\n",
		"two spaces":        "GET  / HTTP/1.1\r\n" + host + "\r\n",
		"space in target":   "GET /a b HTTP/1.1\r\n" + host + "\r\n",
		"escaped path":      "GET /%65vents HTTP/1.1\r\n" + host + "\r\n",
		"fragment":          "GET /?a#b HTTP/1.1\r\n" + host + "\r\n",
		"too many fields":   "GET / HTTP/1.1\r\n" + host + strings.Repeat("X: y\r\n", maxFields) + "\r\n",
		"too long":          "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("y", maxHead1) + "\r\n\r\n",
		"too long, no end":  "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("y", maxHead1),
		"not HTTP, no end":  "hello",
		"body is too large": "POST / HTTP/1.1\r\n" + host + "Content-Length: 40961\r\n\r\n",
	} {
		var r request1
		if n, state := r.parseHead([]byte(in)); state != headOther || n != 0 {
			t.Errorf("%s: %d bytes, state %d", name, n, state)
		}
	}
}
